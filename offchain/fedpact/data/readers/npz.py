"""NumPy archives: `x` (n, *shape), `y` (n,) and, where records form units, `unit` (n,).

For texts, `text` and `ends` replace `x` (`data.documents`).
"""

import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Inputs
from fedpact.data.documents import TEXT, unpack
from fedpact.data.readers.records import NO_NUMBER, Records, label_name, refuse
from fedpact.data.readers.texts import text_records
from fedpact.errors import DataError


def read_npz(path: Path) -> Records:
    """Labels are names, or numbers that are names; `unit` names the unit of each example."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            y = np.asarray(arrays["y"])
            if TEXT in arrays:
                return _texts(path, unpack(arrays), y)
            x = np.asarray(arrays["x"])
            unit = np.asarray(arrays["unit"]) if "unit" in arrays else None
    except DataError as error:
        refuse(path, str(error), error)
    except OSError as error:
        refuse(path, error.strerror or str(error), error)
    # RuntimeError: a damaged archive may seem encrypted or packed in an unknown way.
    except (KeyError, ValueError, EOFError, RuntimeError, BadZipFile, zlib.error) as error:
        refuse(path, f"it needs arrays x and y ({error})", error)
    return array_records(path, "npz", x, y, unit)


def array_records(
    path: Path, kind: str, x: NDArray[Any], y: NDArray[Any], unit: NDArray[Any] | None
) -> Records:
    """Examples x (n, *shape) with labels y (n,) and names of units (n,), whatever file they are
    from. Raises DataError for shapes that do not fit, and for x of anything but numbers."""
    if x.dtype.kind not in "buif":
        refuse(path, f"x has type {x.dtype}, not numbers")
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y):
        refuse(path, f"x of shape {x.shape} and y of shape {y.shape} do not fit")
    names = _unit_names(path, unit, len(x))
    labels = tuple("" if one == NO_NUMBER else one for one in map(label_name, y.tolist()))
    return Records(kind, x, labels, groups=names, grouped_units=bool(names))


def _texts(path: Path, x: Inputs, y: NDArray[Any]) -> Records:
    if y.shape != x.shape:
        refuse(path, f"{len(x)} documents and y of shape {y.shape} do not fit")
    return text_records("npz", x.tolist(), [label_name(value) for value in y.tolist()])


def _unit_names(path: Path, unit: NDArray[Any] | None, examples: int) -> tuple[str, ...]:
    if unit is None:
        return ()
    if unit.shape != (examples,):
        refuse(path, f"unit of shape {unit.shape} for {examples} examples")
    return tuple(label_name(value) for value in unit.tolist())
