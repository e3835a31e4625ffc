"""HDF5 files: data sets `x` (n, *shape), `y` (n,) and, where records form units, `unit` (n,)."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.readers.npz import array_records
from fedpact.data.readers.records import Records, refuse
from fedpact.data.readers.table import listed


def read_hdf5(path: Path) -> Records:
    """As `read_npz`. Raises DataError for a damaged file, or one without these data sets."""
    arrays = _read(path, needed=("x", "y"), also=("unit",))
    return array_records(path, "hdf5", arrays["x"], arrays["y"], arrays.get("unit"))


def read_inputs(path: Path) -> NDArray[Any]:
    """The data set `x` alone, of examples without labels. Raises DataError as `read_hdf5`."""
    return _read(path, needed=("x",), also=())["x"]


def _read(path: Path, needed: tuple[str, ...], also: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        refuse(path, "No such file or directory")
    try:
        import h5py
    except ImportError as error:
        refuse(path, "reading HDF5 needs h5py: pip install 'fedpact[formats]'", error)
    try:
        with h5py.File(path, "r") as file:
            names = [name for name in file if isinstance(file[name], h5py.Dataset)]
            if not set(needed) <= set(names):
                refuse(
                    path,
                    f"it needs data sets {' and '.join(needed)}, and has {listed(list(file))}; save"
                    " a table of pandas as Parquet or CSV",
                )
            return {
                name: np.asarray(
                    file[name].asstr()[()]
                    if h5py.check_string_dtype(file[name].dtype)
                    else file[name][()]
                )
                for name in (*needed, *also)
                if name in names
            }
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        refuse(path, f"not HDF5, damaged or cut short ({error})", error)
