"""HDF5 files: data sets `x` (n, *shape), `y` (n,) and, where records form units, `unit` (n,)."""

from pathlib import Path

import numpy as np

from fedpact.data.readers.npz import array_records
from fedpact.data.readers.records import Records, refuse
from fedpact.data.readers.table import listed


def read_hdf5(path: Path) -> Records:
    """As `read_npz`. Raises DataError for a damaged file, or one without these data sets."""
    if not path.is_file():
        refuse(path, "no such file")
    try:
        import h5py
    except ImportError as error:
        refuse(path, "reading HDF5 needs h5py: pip install 'fedpact[formats]'", error)
    try:
        with h5py.File(path, "r") as file:
            names = [name for name in file if isinstance(file[name], h5py.Dataset)]
            if not {"x", "y"} <= set(names):
                found = listed(list(file))
                refuse(
                    path,
                    f"it needs data sets x and y, and has {found}; save a table of pandas as "
                    "Parquet or CSV",
                )
            arrays = {
                name: (
                    file[name].asstr()[()]
                    if h5py.check_string_dtype(file[name].dtype)
                    else file[name][()]
                )
                for name in ("x", "y", "unit")
                if name in names
            }
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        refuse(path, f"not HDF5, damaged or cut short ({error})", error)
    unit = arrays.get("unit")
    return array_records(
        path,
        "hdf5",
        np.asarray(arrays["x"]),
        np.asarray(arrays["y"]),
        None if unit is None else np.asarray(unit),
    )
