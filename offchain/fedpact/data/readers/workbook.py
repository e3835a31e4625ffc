"""Excel workbooks (`.xlsx`), by calamine (extra `formats`)."""

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from fedpact.data.readers.records import refuse
from fedpact.data.readers.table import Table, cell_text, listed, table_of
from fedpact.types.layout import FileLayout


def read_workbook(path: Path, layout: FileLayout | None = None) -> Table:
    """The sheet that the layout names, or the only one with content, with its first filled row as
    header. Formulas count as the values stored with them.

    Raises DataError for a damaged file, several sheets with content, or a missing one.
    """
    if not path.is_file():
        refuse(path, "No such file or directory")
    try:
        import python_calamine as calamine
    except ImportError as error:
        refuse(path, "reading Excel needs calamine: pip install 'fedpact[formats]'", error)
    wanted = None if layout is None else layout.sheet
    try:
        book = calamine.CalamineWorkbook.from_path(path)
        filled = [name for name in book.sheet_names if book.get_sheet_by_name(name).height]
        if wanted is None and len(filled) > 1:
            refuse(path, f"sheets {listed(filled)} have content: keep one, or declare the sheet")
        if wanted is not None and wanted not in book.sheet_names:
            refuse(path, f"no sheet {wanted!r}; it has {listed(book.sheet_names)}")
        sheet = wanted or (filled[0] if filled else book.sheet_names[0])
        rows = book.get_sheet_by_name(sheet).to_python()
    except (calamine.CalamineError, OSError, ValueError) as error:
        refuse(path, f"not a workbook, or damaged ({error})", error)
    cells = [[_text(value) for value in row] for row in rows]
    layout = layout or FileLayout(sheet=sheet if len(filled) > 1 else None)
    return table_of(path, "xlsx", [row for row in cells if any(row)], layout)


def _text(value: Any) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value.total_seconds())
    return cell_text(value)
