"""Windows of rows: which rows of a table each example of a time series has."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedpact.types.series import SeriesWindows


def window_rows(
    series: SeriesWindows, groups: Sequence[str], order: NDArray[np.float64] | None
) -> NDArray[np.int64]:
    """Indices of each window's rows, (windows, series.window), windows in the order of their last
    rows within each group, groups in order of appearance.

    Args:
        groups: whose each row is.
        order: by which a group's rows are sorted (ties and NaN stay as they are, NaN last); None:
            as they are.
    """
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(groups):
        rows_of.setdefault(name, []).append(row)
    found = [np.zeros((0, series.window), dtype=np.int64)]
    for own in rows_of.values():
        rows = np.array(own, dtype=np.int64)
        if order is not None:
            rows = rows[np.argsort(order[rows], kind="stable")]
        ends = np.arange(len(rows), series.window - 1, -series.stride)[::-1]
        found.extend(rows[None, end - series.window : end] for end in ends)
    return np.concatenate(found)
