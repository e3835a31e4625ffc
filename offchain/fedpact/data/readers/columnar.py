"""Tables of typed columns: Parquet, and Arrow's own files (`.feather`, `.arrow`)."""

from pathlib import Path
from typing import Any

from fedpact.data.readers.records import refuse
from fedpact.data.readers.table import Table, cell_text, columnar
from fedpact.types.layout import PLAIN


def read_columnar(path: Path) -> Table:
    """Cells count as the text that they would be in a CSV file, in units too. Raises DataError for
    a file that cannot be read, or a column of lists, structures or bytes."""
    if not path.is_file():
        refuse(path, "No such file or directory")
    try:
        import pyarrow
        from pyarrow import ipc, parquet
    except ImportError as error:
        refuse(
            path, "reading Parquet and Arrow needs pyarrow: pip install 'fedpact[parquet]'", error
        )
    try:
        if path.suffix == ".parquet":
            # One file: a folder's name such as `part=3` must not become a column.
            table = parquet.ParquetFile(path).read()
        else:
            table = _arrow(ipc, pyarrow, path)
        for name, kind in zip(table.column_names, table.schema.types, strict=True):
            _check_type(path, name, kind, pyarrow.types)
        columns = [[cell_text(one) for one in column.to_pylist()] for column in table.columns]
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        refuse(path, (str(error) or "damaged or cut short").splitlines()[0], error)
    return columnar(path, path.suffix[1:], list(table.column_names), columns, PLAIN)


def _arrow(ipc: Any, pyarrow: Any, path: Path) -> Any:
    """A file with a footer, or a stream of batches."""
    with pyarrow.OSFile(str(path)) as source:
        try:
            return ipc.open_file(source).read_all()
        except pyarrow.ArrowInvalid:
            source.seek(0)
            return ipc.open_stream(source).read_all()


def _check_type(path: Path, name: str, kind: Any, types: Any) -> None:
    if types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind):
        refuse(path, f"column {name!r} holds {kind}: write one value of a column, or leave it out")
