"""A record stays the same privacy unit in any file: each change through the real readers."""

import csv
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedpact.data.declared import DeclaredData
from fedpact.data.identity import coarse_sketch, declared_columns, normal_label, normal_name
from fedpact.data.schema_draft import as_toml, propose
from fedpact.types.columns import ColumnSchema
from fedpact.types.schema import DataSchema

ID = "00112233445566778899aabbccddeeff"
ROWS = [(31 + n, 1.1 * n + 0.1, "größer" if n % 2 else "kleiner") for n in range(12)]
COLUMNS = (
    ColumnSchema(name="age", range=(0.0, 120.0)),
    ColumnSchema(name="größe", range=(0.0, 50.0)),
)


def schema(**changes: Any) -> DataSchema:
    fields = {
        "data_id": ID,
        "category": "people",
        "units": 100,
        "unit": "record",
        "labels": ("größer", "kleiner"),
        "columns": COLUMNS,
    }
    return DataSchema(**{**fields, **changes})


def write(path: Path, header: list[str], rows: list[list[Any]], encoding: str = "utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows([header, *rows])
    return path


def plain(folder: Path) -> Path:
    return write(folder / "plain.csv", ["age", "größe", "label"], [list(row) for row in ROWS])


def with_byte_order_mark(folder: Path) -> Path:
    rows = [list(row) for row in ROWS]
    return write(folder / "bom.csv", ["age", "größe", "label"], rows, encoding="utf-8-sig")


def with_pandas_index(folder: Path) -> Path:
    rows = [[number, *row] for number, row in enumerate(ROWS)]
    return write(folder / "index.csv", ["", "age", "größe", "label"], rows)


def with_constant_column(folder: Path) -> Path:
    rows = [[*row, "2026"] for row in ROWS]
    return write(folder / "constant.csv", ["age", "größe", "label", "year"], rows)


def with_other_order(folder: Path) -> Path:
    rows = [[label, size, age] for age, size, label in ROWS]
    return write(folder / "order.csv", ["label", "größe", "age"], rows)


def with_number_notation(folder: Path) -> Path:
    rows = [[f" {age}.0", f"{size:.17e}", label] for age, size, label in ROWS]
    return write(folder / "notation.csv", ["age", "größe", "label"], rows)


def in_32_bits(folder: Path) -> Path:
    rows = [[np.float32(age), np.float32(size), label] for age, size, label in ROWS]
    return write(folder / "single.csv", ["age", "größe", "label"], rows)


def in_decomposed_unicode(folder: Path) -> Path:
    def decomposed(text: str) -> str:
        return unicodedata.normalize("NFD", text)

    rows = [[age, size, decomposed(label)] for age, size, label in ROWS]
    return write(folder / "nfd.csv", ["age", decomposed("größe"), "label"], rows)


def as_npz(folder: Path, kind: str = "f8") -> Path:
    x = np.array([row[:2] for row in ROWS], dtype=kind)
    np.savez(folder / f"{kind}.npz", x=x, y=np.array([row[2] for row in ROWS]))
    return folder / f"{kind}.npz"


def as_npz_of_32_bits(folder: Path) -> Path:
    return as_npz(folder, "f4")


def as_parquet(folder: Path, kind: str = "float64") -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    ages, sizes, labels = zip(*ROWS, strict=True)
    columns = {
        "age": pyarrow.array(ages),
        "größe": pyarrow.array(sizes).cast(kind),
        "label": pyarrow.array(labels),
    }
    parquet.write_table(pyarrow.table(columns), folder / f"{kind}.parquet")
    return folder / f"{kind}.parquet"


def as_parquet_of_32_bits(folder: Path) -> Path:
    return as_parquet(folder, "float32")


@pytest.mark.parametrize(
    "changed",
    [
        with_byte_order_mark,
        with_pandas_index,
        with_constant_column,
        with_other_order,
        with_number_notation,
        in_32_bits,
        in_decomposed_unicode,
        as_npz,
        as_npz_of_32_bits,
        as_parquet,
        as_parquet_of_32_bits,
    ],
)
def test_no_change_of_format_makes_new_units_of_the_same_records(
    tmp_path: Path, changed: Callable[[Path], Path]
) -> None:
    before = DeclaredData.read(plain(tmp_path), schema())
    after = DeclaredData.read(changed(tmp_path), schema())
    assert len(set(before.units)) == len(ROWS)
    assert after.units == before.units
    assert after.misfits.unusable == before.misfits.unusable == 0


def test_a_renamed_header_keeps_its_units_where_the_schema_says_what_it_was(tmp_path: Path) -> None:
    rows = [list(row) for row in ROWS]
    path = write(tmp_path / "new.csv", ["Alter", "größe", "label"], rows)
    columns = (ColumnSchema(name="age", range=(0.0, 120.0), source="Alter"), COLUMNS[1])
    found = DeclaredData.read(path, schema(columns=columns))
    assert found.units == DeclaredData.read(plain(tmp_path), schema()).units
    assert found.records.columns == ("age", "größe")
    assert "Alter" not in str(found.schema.published)


@pytest.mark.parametrize("column", [0, 1, 2])
def test_another_value_is_another_unit(tmp_path: Path, column: int) -> None:
    rows = [list(row) for row in ROWS]
    rows[3][column] = "kleiner" if column == 2 else rows[3][column] + 0.25
    path = write(tmp_path / "other.csv", ["age", "größe", "label"], rows)
    changed = DeclaredData.read(path, schema()).units
    before = DeclaredData.read(plain(tmp_path), schema()).units
    assert [a == b for a, b in zip(before, changed, strict=True)] == [n != 3 for n in range(12)]


def test_a_named_unit_is_its_name_in_any_form(tmp_path: Path) -> None:
    named = schema(unit="patient", examples_per_unit=2)
    forms = {
        "csv": [f"{number}" for number in range(12)],
        "pandas": [f"{number}.0" for number in range(12)],
        "spaces": [f" {number} " for number in range(12)],
    }
    found = []
    for form, names in forms.items():
        rows = [[*row, name] for row, name in zip(ROWS, names, strict=True)]
        path = write(tmp_path / f"{form}.csv", ["age", "größe", "label", "patient"], rows)
        found.append(DeclaredData.read(path, named).units)
    x = np.array([row[:2] for row in ROWS]) * 2  # the values do not matter
    y = np.array([row[2] for row in ROWS])
    np.savez(tmp_path / "unit.npz", x=x, y=y, unit=np.arange(12))
    found.append(DeclaredData.read(tmp_path / "unit.npz", named).units)
    assert found == [found[0]] * 4


def test_a_regression_is_the_same_in_a_table_and_in_arrays(tmp_path: Path) -> None:
    regression = schema(labels=(), columns=(*COLUMNS, ColumnSchema(name="pay", range=(0.0, 9.0))))
    pay = [n / 7 for n in range(12)]
    rows = [[age, size, one] for (age, size, _), one in zip(ROWS, pay, strict=True)]
    path = write(tmp_path / "pay.csv", ["age", "größe", "pay"], rows)
    np.savez(tmp_path / "pay.npz", x=np.array([row[:2] for row in ROWS]), y=np.array(pay))
    table = DeclaredData.read(path, regression)
    arrays = DeclaredData.read(tmp_path / "pay.npz", regression)
    assert table.units == arrays.units
    assert np.allclose(table.records.x, arrays.records.x)


@pytest.mark.parametrize("kind", ["u1", "f4", "f8"])
def test_an_image_is_the_same_in_bytes_and_floats(tmp_path: Path, kind: str) -> None:
    images = np.random.default_rng(3).integers(0, 256, (9, 4, 4))
    declared = schema(columns=(), shape=(4, 4), value_range=(0.0, 255.0), labels=("0",))
    for name in ("i8", kind):
        np.savez(tmp_path / f"{name}.npz", x=images.astype(name), y=np.zeros(9, dtype=int))
    first, second = (
        DeclaredData.read(tmp_path / f"{name}.npz", declared).units for name in ("i8", kind)
    )
    assert first == second
    assert len(set(first)) == 9


def test_a_text_is_the_same_with_other_line_ends_and_unicode_forms(tmp_path: Path) -> None:
    text = "Grüße\naus Köln"
    forms = [text, unicodedata.normalize("NFD", text), text.replace("\n", "\r\n"), "\ufeff" + text]
    declared = schema(kind="text", columns=(), labels=("a",))
    found = set()
    for number, form in enumerate(forms):
        folder = tmp_path / str(number) / "a"
        folder.mkdir(parents=True)
        (folder / "one.txt").write_bytes(form.encode())
        found |= set(DeclaredData.read(folder.parent, declared).units)
    assert len(found) == 1


@given(st.floats(-1e30, 1e30), st.integers(0, 10**6))
@settings(max_examples=50)
def test_normal_forms_survive_32_bits(number: float, name: int) -> None:
    assert normal_label(repr(number)) == normal_label(repr(float(np.float32(number))))
    assert normal_name(f" {name}.0") == normal_name(f"{name:08d}") == str(name)
    assert normal_name("\ufb01ne") == "fine"


def test_a_table_must_say_what_a_unit_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='unit = "record" where each row is a unit'):
        DataSchema(data_id=ID, category="people", units=5, columns=COLUMNS)
    drafted = propose(plain(tmp_path), "people", unit="record")
    (tmp_path / "schema.toml").write_text(as_toml(drafted))
    assert DataSchema.read(tmp_path / "schema.toml") == drafted


def test_a_sketch_survives_new_names_and_rounding_and_tells_other_data_apart(
    tmp_path: Path,
) -> None:
    generator = np.random.default_rng(5)
    declared = schema(unit="patient", labels=())

    def data(name: str, x: np.ndarray, units: np.ndarray) -> DeclaredData:
        rows = [[*row, unit] for row, unit in zip(x.tolist(), units, strict=True)]
        return DeclaredData.read(
            write(tmp_path / name, ["age", "größe", "patient"], rows), declared
        )

    x = generator.uniform(1, 40, (80, 2))
    first = data("a.csv", x, np.arange(80))
    renamed = data("b.csv", x.round(3)[::-1], np.arange(80) + 1000)
    other = data("c.csv", generator.uniform(1, 40, (80, 2)), np.arange(80) + 2000)
    assert not set(first.units) & set(renamed.units)
    sketches = [coarse_sketch(one.schema, one.records) for one in (first, renamed, other)]
    assert len(sketches[0] & sketches[1]) > 50
    assert len(sketches[0] & sketches[2]) < 10
    assert declared_columns(first.schema) != declared_columns(schema(columns=COLUMNS[:1]))
