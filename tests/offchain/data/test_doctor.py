"""What the doctor says of a table, and that a daemon accepts what it drafts."""

import gzip
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from fedpact.data.declared import DeclaredData
from fedpact.data.doctor import Choices, Diagnosis, diagnose
from fedpact.data.schema_draft import as_toml
from fedpact.errors import DataError
from fedpact.requester.draft import Draft
from fedpact.types.columns import BUCKETS, ColumnSchema
from fedpact.types.schema import DataSchema, schema_file
from fedpact.types.series import Series
from tests.support.exports import maintenance_export
from tests.support.specifications import specification
from tests.support.workbooks import write_workbook


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return maintenance_export(tmp_path)


def look(path: Path, **choices: Any) -> Diagnosis:
    return diagnose(path, Choices("machines", **choices))


def test_a_raw_export_becomes_a_schema_that_a_daemon_reads(own: Path) -> None:
    found = look(own, unit="Maschine")
    assert found.layout["separator"] == ";"
    assert (found.layout["decimal"], found.layout["thousands"]) == (",", ".")
    assert (found.label, found.classes, found.unlabelled) == ("failure", (570, 30), 0)
    schema = found.schema
    assert schema is not None
    assert (schema.units, schema.unit, schema.labels) == (40, "Maschine", ("0", "1"))
    assert {column.name: column.type for column in schema.columns} == {
        "Laufnr": "identifier",
        "Typ": "category",
        "Temperatur": "number",
        "Drehmoment": "number",
        "gebaut": "timestamp",
        "gewartet": "boolean",
        "Kennung": "identifier",
    }
    assert schema.columns[2].measure == "°C"
    assert schema.columns[1].missing == "indicator"
    (own.parent / "s.toml").write_text(as_toml(schema), encoding="utf-8")
    declared = DeclaredData.read(own, DataSchema.read(own.parent / "s.toml"))
    misfits = declared.misfits
    assert (misfits.unusable, misfits.undeclared_labels, misfits.outside) == (0, 0, 0)


@pytest.mark.parametrize("name", ["note", "text"])
def test_a_text_among_numbers_becomes_a_column_that_counts(tmp_path: Path, name: str) -> None:
    path = tmp_path / "own.csv"
    said = ("oil leaks at joint", "bearing hums when cold", "belt torn, replaced it today")
    rows = [
        f'{number % 37 / 4},"{said[number % 3]} {number}",{"ab"[number % 2]}'
        for number in range(90)
    ]
    path.write_text("\n".join([f"heat,{name},label", *rows]))
    found = look(path, unit="record")
    assert found.schema is not None
    assert not any("not proposed" in warning for warning in found.warnings)
    heat, text = found.schema.columns
    assert (heat.type, text.name, text.type, text.encoding) == ("number", name, "text", "words")
    assert "hums" not in as_toml(found.schema)
    (tmp_path / "s.toml").write_text(as_toml(found.schema), encoding="utf-8")
    declared = DeclaredData.read(path, DataSchema.read(tmp_path / "s.toml"))
    asked = Draft.proposed(declared.schema, 2.0).specification
    assert declared.dataset(asked).x.shape == (90, 1 + BUCKETS)


def test_documents_with_their_number_stay_documents(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("id,text,label\n" + "".join(f"{n},words {n},{'ab'[n % 2]}\n" for n in range(9)))
    schema = look(path).schema
    assert schema is not None
    assert (schema.kind, schema.columns) == ("text", ())


def test_labels_are_skewed_as_a_request_has_it(tmp_path: Path) -> None:
    path = tmp_path / "records.csv"
    for rarest, skewed in ((250, False), (249, True)):
        labels = ["b"] * rarest + ["a"] * (1000 - rarest)
        rows = [f"{number % 37},{label}" for number, label in enumerate(labels)]
        path.write_text("\n".join(["value,label", *rows]))
        warnings = diagnose(path, Choices("test")).warnings
        assert any("accuracy says little" in one for one in warnings) == skewed


@pytest.mark.parametrize(
    "said",
    [
        "column 'Werk' is not proposed: the same value everywhere",
        "column 'Alarm' is not proposed: it tells the label of every example",
        "column 'Kennung' is not proposed: it tells the label of every example",
        "column 'Laufnr' is not proposed: numbers the rows",
        "5.0 % of the examples have the rarest label",
    ],
)
def test_what_would_go_wrong_is_said(own: Path, said: str) -> None:
    assert any(said in warning for warning in look(own, unit="Maschine").warnings)


def column_of(tmp_path: Path, cells: list[str]) -> tuple[Diagnosis, ColumnSchema]:
    """What the doctor says of a column, quoted in a file with semicolons."""
    path = tmp_path / "own.csv"
    rows = [f'"{cell}";{"xy"[place % 2]}' for place, cell in enumerate(cells)]
    path.write_text("\n".join(["a;label", *rows]), encoding="utf-8")
    found = look(path, unit="record")
    assert found.schema is not None
    return found, found.schema.columns[0]


@pytest.mark.parametrize("gap", ["k.A.", "\u2014", "#NV", "keine Angabe", "n.a.", "#DIV/0!", ""])
@pytest.mark.parametrize("unit", ["", " \u00b0C"])
def test_a_spelling_of_a_missing_number_costs_no_column(
    tmp_path: Path, gap: str, unit: str
) -> None:
    found, column = column_of(tmp_path, [f"{n},1{unit}" for n in range(60, 100)] + [gap] * 3)
    assert (column.type, column.range, column.missing) == ("number", (60.0, 100.0), "indicator")
    assert column.measure == (unit.strip() or None)
    assert found.columns[0].missing == 3
    assert not any("no number" in warning for warning in found.warnings)


@pytest.mark.parametrize("unit", ["", " \u00b0C"])
def test_a_few_words_among_numbers_are_told_and_count_as_missing(tmp_path: Path, unit: str) -> None:
    cells = [f"{n},1{unit}" for n in range(60, 100)] + ["Fehler", "Sensor defekt", "siehe Blatt"]
    found, column = column_of(tmp_path, cells)
    assert (column.type, column.range, column.missing) == ("number", (60.0, 100.0), "indicator")
    assert "column 'a': 3 cells are no number and count as missing" in found.warnings


def test_more_words_than_a_few_make_no_number(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    cells = [f"{n}.5" for n in range(60, 90)] + ["high", "low", "mid", "top"]
    rows = [f"{cell},{'xy'[place % 2]}" for place, cell in enumerate(cells)]
    path.write_text("\n".join(["a,label", *rows]))
    with pytest.raises(DataError, match="no column is of use"):
        look(path, unit="record")


@pytest.mark.parametrize(
    ("placeholder", "unit"),
    [("9999", ""), ("-999", ""), ("9999", " \u00b0C"), ("-999,9 \u00b0C", " \u00b0C")],
)
def test_a_number_that_stands_for_a_missing_one_widens_no_range(
    tmp_path: Path, placeholder: str, unit: str
) -> None:
    cells = [f"{n},1{unit}" for n in range(60, 100)] + [placeholder] * 3
    found, column = column_of(tmp_path, cells)
    assert column.range == (60.0, 100.0)
    assert any("3 cells hold a number such as 9999" in warning for warning in found.warnings)


def test_a_placeholder_near_the_other_numbers_is_one_of_them(tmp_path: Path) -> None:
    found, column = column_of(tmp_path, [f"{n},1" for n in range(600, 640)] + ["999"] * 3)
    assert column.range == (600.0, 1000.0)
    assert not any("9999" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("written", "unit"),
    [("\u20ac{}", "\u20ac"), ("$ -{}", "$"), ("-${}", "$"), ("CHF {}", "CHF")],
)
def test_a_currency_before_a_number_is_its_unit(tmp_path: Path, written: str, unit: str) -> None:
    cells = [written.format(f"{n},25") for n in range(40)]
    _, column = column_of(tmp_path, cells)
    low, high = column.range or (0, 0)
    assert (column.type, column.measure) == ("number", unit)
    assert (low, high) == ((-40.0, 0.0) if "-" in written else (0.0, 40.0))


@pytest.mark.parametrize("code", ["M{}", "M-{}", "WZ {}"])
def test_codes_of_letters_and_digits_are_no_numbers_with_a_unit(tmp_path: Path, code: str) -> None:
    path = tmp_path / "own.csv"
    rows = [f"{n}.5,{code.format(n)},{'xy'[n % 2]}" for n in range(60)]
    path.write_text("\n".join(["a,tool,label", *rows]))
    found = look(path, unit="record")
    assert found.schema is not None
    assert {one.name: one.type for one in found.schema.columns}["tool"] == "identifier"


def test_numbers_among_the_values_of_a_category_make_no_number_of_it(tmp_path: Path) -> None:
    _, column = column_of(tmp_path, ["10W", "5", "mild"] * 14)
    assert (column.type, column.values) == ("category", ("10W", "5", "mild"))


def test_values_that_differ_in_case_alone_are_told(tmp_path: Path) -> None:
    found, column = column_of(tmp_path, ["Pro", "pro", "basic"] * 14)
    assert column.values == ("Pro", "basic", "pro")
    assert "column 'a': 1 values differ in upper and lower case alone: they stay different" in (
        found.warnings
    )


def test_no_number_and_no_date_is_said_to_name_the_unit(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    rows = [
        f"M{n % 12},{60 + n % 15} C,2024-01-{1 + n % 20:02d},{n % 7},{'xy'[n % 2]}"
        for n in range(60)
    ]
    path.write_text("\n".join(["machine,heat,seen,unit load,label", *rows]))
    assert look(path).groups == ("machine", "unit load")
    assert look(path, unit="machine").groups == ()


def time_series(tmp_path: Path, label: Callable[[int, int], str], cycles: int = 30) -> Path:
    path = tmp_path / "own.csv"
    rows = [
        f"E{engine},{cycle},{(engine * cycle) % 11}.5,{label(engine, cycle)}"
        for cycle in range(cycles)
        for engine in range(6)
    ]
    path.write_text("\n".join(["engine,cycle,heat,label", *rows]))
    return path


def test_windows_of_rows_in_time_are_drafted(tmp_path: Path) -> None:
    path = time_series(tmp_path, lambda engine, cycle: "ab"[(engine + cycle) % 3 == 0])
    found = look(path, unit="engine")
    assert found.schema is not None
    assert found.schema.series == Series(by="engine", order="cycle")
    assert any("follow one another, by 'cycle'" in warning for warning in found.warnings)
    (tmp_path / "s.toml").write_text(as_toml(found.schema), encoding="utf-8")
    declared = DeclaredData.read(path, DataSchema.read(tmp_path / "s.toml"))
    series = {"window": 5, "by": "engine", "order": "cycle"}
    asked = specification(
        labels=["a", "b"], features={"shape": [5, 1], "columns": ["heat"], "series": series}
    )
    assert declared.dataset(asked).x.shape == (6 * 26, 5, 1)


def test_an_order_that_tells_the_label_is_that_of_the_file(tmp_path: Path) -> None:
    path = time_series(tmp_path, lambda _, cycle: "ab"[cycle > 9])
    found = look(path, unit="engine")
    assert found.schema is not None
    assert found.schema.series == Series(by="engine")
    assert {one.name for one in found.schema.columns} == {"heat"}


@pytest.mark.parametrize("unit", ["record", "engine"])
def test_few_rows_or_single_ones_are_no_series(tmp_path: Path, unit: str) -> None:
    cycles = 30 if unit == "record" else 9
    path = time_series(tmp_path, lambda engine, cycle: "ab"[(engine + cycle) % 3 == 0], cycles)
    found = look(path, unit=unit)
    assert found.schema is not None
    assert found.schema.series is None


def test_the_unit_is_asked_for_where_rows_share_something(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("patient,age,label\n" + "a,31.5,x\na,40.5,y\nb,50.5,x\nb,60.5,y\n" * 5)
    found = look(path)
    assert (found.groups, found.schema) == (("patient",), None)
    assert "what one privacy unit is" in found.undecided[0]


def test_the_unit_is_asked_for_where_nothing_in_the_file_tells_it(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("age,label\n31.5,x\n40.5,y\n")
    found = look(path)
    assert found.schema is None
    assert "what one privacy unit is" in found.undecided[0]


@pytest.mark.parametrize(
    ("text", "choices", "said"),
    [
        ("a,label\n" + "1.5,x\n2.5,\n3.5,y\n" * 3, {}, "3 examples have no label"),
        ("a,b,label\n1.5,2,x\n2.5,2,y\n", {}, "column 'b' has the same value everywhere"),
        ("a,label\n1.5,0\n2.5,0.0\n3.5,1\n", {}, "1 labels are spelt in two ways"),
        ("a,label\n1.5,Yes\n2.5,yes\n3.5,no\n", {}, "1 labels differ in upper and lower case"),
        ("a,label\n1.5,x\n1.5,x\n3.5,y\n", {}, "1 examples are equal to an earlier one"),
        ("a,label\n1.5,x\n2.5,x\n", {}, "only one label"),
        (",a,label\n0,1.5,x\n1,2.5,y\n", {}, "column '' only numbers the rows"),
        (
            "a,b,y\n1.5,3,3\n2.5,5,5\n9.5,1,1\n",
            {"output": "y"},
            "column 'b' is not proposed: it is",
        ),
        ("d,a,label\n01/02/2024,1.5,x\n03/04/2024,2.5,y\n", {}, "declare its format"),
        (
            "nr,a,label\n" + "".join(f"{i},{i}.5,{'xy'[i > 14]}\n" for i in range(30)),
            {},
            "sorted by",
        ),
        (
            "flag,a,label\n"
            + "".join(f"{i % 9 == 0:d},{i}.5,{'yx'[i % 3 == 0]}\n" for i in range(270)),
            {},
            "one of its values has 30 examples, all of one label",
        ),
        ("a,1.5\n" * 3 + "b,2.5\n", {"label": "column_1"}, "does not name the columns"),
        (
            "Temp,temp,label\n1.5,2,x\n2.5,3,y\n",
            {},
            "'Temp', 'temp' differ in upper and lower case",
        ),
        ("big,a,label\n1e29,1.5,x\n1,2.5,y\n", {}, "column 'big' is not proposed: values beyond"),
        ("zip,a,label\n007,1.5,x\n010,2.5,y\n009,3.5,x\n", {}, "codes with leading zeros"),
    ],
)
def test_each_oddity_has_its_warning(
    tmp_path: Path, text: str, choices: dict[str, Any], said: str
) -> None:
    path = tmp_path / "own.csv"
    path.write_text(text)
    warnings = look(path, unit="record", **choices).warnings
    assert any(said in warning for warning in warnings), warnings


def test_a_value_of_few_examples_is_not_named(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("town,a,label\n" + "Ulm,1.5,x\nBonn,2.5,y\n" * 5 + "Zell,3.5,x\n")
    schema = look(path, unit="record").schema
    assert schema is not None
    assert schema.columns[0].values == ("Bonn", "Ulm")
    assert schema.columns[0].missing == "indicator"


@pytest.mark.parametrize(
    ("make", "kind", "shape"),
    [
        (lambda p: np.savez(p, x=np.ones((4, 2, 3)), y=["a", "a", "b", "b"]), "npz", (2, 3)),
        (lambda p: p.write_text("text,label\na tide,sea\na cloud,sky\n"), "csv", ()),
    ],
)
def test_arrays_and_texts_have_a_diagnosis_too(
    tmp_path: Path, make: Callable[[Path], Any], kind: str, shape: tuple[int, ...]
) -> None:
    path = tmp_path / f"own.{kind}"
    make(path)
    found = look(path)
    assert (found.format, found.shape, len(found.classes)) == (kind, shape, 2)
    assert found.schema is not None
    assert found.duplicates == (2 if kind == "npz" else 0)


def test_a_column_of_many_names_is_asked_about_whatever_it_is_called(tmp_path: Path) -> None:
    """A table of machines was taken for one of independent rows."""
    rows = "".join(f"M-{row % 12},{row % 7}.5,{'xy'[row % 5 > 2]}\n" for row in range(120))
    (tmp_path / "own.csv").write_text("Maschine,a,label\n" + rows)
    found = look(tmp_path / "own.csv")
    assert (found.groups, found.schema) == (("Maschine",), None)


PLAIN = "speed,kind,label\n" + "1.5,new,x\n2.5,old,y\n" * 6


def workbook(path: Path) -> None:
    write_workbook(path, [[line.split(",") for line in PLAIN.splitlines()]])


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("own.tsv", lambda p: p.write_text(PLAIN.replace(",", "\t"))),
        ("own.csv", lambda p: p.write_text(PLAIN.replace(",", ";"), encoding="utf-16")),
        ("own.csv.gz", lambda p: p.write_bytes(gzip.compress(PLAIN.encode()))),
        ("own.json", lambda p: pandas.read_csv(StringIO(PLAIN)).to_json(p, orient="records")),
        ("own.parquet", lambda p: pandas.read_csv(StringIO(PLAIN)).to_parquet(p)),
        ("own.xlsx", workbook),
    ],
)
def test_a_daemon_reads_each_format_by_its_draft(
    tmp_path: Path, name: str, make: Callable[[Path], Any]
) -> None:
    path = tmp_path / name
    make(path)
    schema = look(path, unit="record").schema
    assert schema is not None
    assert [column.type for column in schema.columns] == ["number", "category"]
    schema_file(path).write_text(as_toml(schema), encoding="utf-8")
    declared = DeclaredData.read(path, DataSchema.read(schema_file(path)))
    assert len(declared.records.labels) == 12
    assert (declared.misfits.unusable, declared.misfits.undeclared_labels) == (0, 0)


def test_values_that_no_range_can_hold_are_refused_in_one_line(tmp_path: Path) -> None:
    """They ended in a trace."""
    np.savez(tmp_path / "own.npz", x=[[1e29], [1.0]], y=["a", "b"])
    with pytest.raises(DataError, match="give it in another unit of measurement"):
        look(tmp_path / "own.npz")
