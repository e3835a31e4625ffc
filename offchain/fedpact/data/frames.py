"""Tables that a program holds: data frames of pandas, polars, pyarrow and others, by narwhals."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedpact.data.readers.table import Table, cell_text, columnar
from fedpact.errors import DataError, SettingsError
from fedpact.types.layout import PLAIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas
    from narwhals.typing import IntoDataFrame

NAME = Path("frame")
"""What messages call a data frame, in place of a file."""


def is_frame(given: Any) -> bool:
    """Whether this is a data frame of a library that narwhals knows; imports none of them."""
    from narwhals.dependencies import is_into_dataframe

    return bool(is_into_dataframe(given))


def is_series(given: Any) -> bool:
    """Whether this is one column of such a data frame."""
    from narwhals.dependencies import is_into_series

    return bool(is_into_series(given))


def frame_table(frame: "IntoDataFrame") -> Table:
    """The frame as a table of text, as its CSV file would hold it; a pandas index is left out.

    Raises DataError for names of columns that are no text, empty or twice there.
    """
    import narwhals as nw

    native: Any = frame
    names = list(native.column_names if hasattr(native, "column_names") else native.columns)
    for name in names:
        if not isinstance(name, str):
            raise DataError(
                f"data {NAME}: a column is called {name!r}; columns are matched by name, so give "
                "each a name of text"
            )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"data {NAME}: two columns are called {twice!r}: rename one")
    found = nw.from_native(frame, eager_only=True)
    cells = [[cell_text(one) for one in found[name].to_list()] for name in names]
    return columnar(NAME, "frame", names, cells, PLAIN)


def frame_of(columns: "Mapping[str, Sequence[Any]]") -> "pandas.DataFrame":
    """A pandas data frame. Raises SettingsError where pandas is not installed."""
    try:
        import pandas
    except ImportError as error:
        raise SettingsError("data frames need pandas: pip install 'fedpact[pandas]'") from error
    return pandas.DataFrame(dict(columns))
