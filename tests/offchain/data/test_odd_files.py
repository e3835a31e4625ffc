"""Damaged and odd files: each is read as its owner meant it, or refused in one line; none is
misread."""

import gzip
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedpact.data.readers import read_dataset, read_records
from fedpact.errors import DataError
from tests.support.specifications import specification

Make = Callable[[Path], None]
ROWS = [[1.5, -2.0], [1000.25, 3.0]]
LABELS = ("a", "b")
PLAIN = "u,v,label\n1.5,-2,a\n1000.25,3,b\n"
GERMAN = "u;v;label\n1,5;-2;a\n1.000,25;3;b\n"


def text(content: str, encoding: str = "utf-8", mark: bytes = b"") -> Make:
    return lambda path: path.write_bytes(mark + content.encode(encoding)) and None


def raw(content: bytes) -> Make:
    return lambda path: path.write_bytes(content) and None


def zstd(path: Path) -> None:
    import pyarrow

    with pyarrow.output_stream(str(path), compression="zstd") as stream:
        stream.write(PLAIN.encode())


def frame() -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"u": [1.5, 1000.25], "v": [-2, 3], "label": ["a", "b"]})


def arrow(compression: str = "uncompressed") -> Make:
    return lambda path: frame().to_feather(path, compression=compression)


def stream(path: Path) -> None:
    import pyarrow

    table = pyarrow.Table.from_pandas(frame(), preserve_index=False)
    with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)


def parquet_with_index(path: Path) -> None:
    table = frame()
    table.index = [0, 1]
    table.to_parquet(path, index=True)


def nested_parquet(path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"u": [[1.0], [2.0]], "label": ["a", "b"]}), path)


def workbook(*sheets: list[list[Any]]) -> Make:
    """An .xlsx as Excel saves it, written by hand: shared strings are inline."""

    def make(path: Path) -> None:
        from tests.support.workbooks import write_workbook

        write_workbook(path, list(sheets))

    return make


def database(query: str) -> Make:
    def make(path: Path) -> None:
        file = path.with_suffix(".sqlite")
        with sqlite3.connect(file) as connection:
            connection.execute("create table t (u real, v real, label text)")
            connection.executemany(
                "insert into t values (?, ?, ?)", [(1.5, -2, "a"), (1000.25, 3, "b")]
            )
        path.write_text(f'url = "sqlite:///{file}"\nquery = "{query}"\n')

    return make


def hdf5(**arrays: Any) -> Make:
    def make(path: Path) -> None:
        import h5py

        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file[name] = values

    return make


def packed(content: bytes) -> Make:
    """As .zst."""

    def make(path: Path) -> None:
        import pyarrow

        with pyarrow.output_stream(str(path), compression="zstd") as stream:
            stream.write(content)

    return make


def parquet(**columns: Any) -> Make:
    def make(path: Path) -> None:
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.table(columns), path)

    return make


def exact_parquet(path: Path) -> None:
    """Decimals, and labels by a dictionary, as databases export them."""
    import pyarrow

    exact = pyarrow.array([-2, 3], pyarrow.decimal128(10, 2))
    labels = pyarrow.array(["a", "b"]).dictionary_encode()
    parquet(u=[1.5, 1000.25], v=exact, label=labels)(path)


def mapped_parquet(path: Path) -> None:
    import pyarrow

    kind = pyarrow.map_(pyarrow.string(), pyarrow.int64())
    parquet(u=pyarrow.array([[("w", 1)], [("w", 2)]], kind), label=["a", "b"])(path)


def grouped_hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for name in ("train", "test"):
            file.create_group(name)["x"] = ROWS


def viewed(query: str) -> Make:
    """A database with a view, and a column of bytes."""

    def make(path: Path) -> None:
        file = path.with_suffix(".sqlite")
        with sqlite3.connect(file) as connection:
            connection.executescript(
                "create table t (w text, v, u);"
                "insert into t values ('a', -2, 1.5), ('b', 3, 1000.25);"
                "create view seen as select u, v, w as label from t;"
                "create table bytes (u, label); insert into bytes values (x'01', 'a');"
            )
        path.write_text(f'url = "sqlite:///{file}"\nquery = "{query}"\n')

    return make


def listed_images(*lines: str) -> Make:
    def make(path: Path) -> None:
        from PIL import Image

        for name in ("one.png", "two.png"):
            Image.new("L", (2, 2)).save(path.parent / name)
        path.write_text("\n".join(["file_name,x_min,y_min,label", *lines]) + "\n")

    return make


def half(make: Make) -> Make:
    """The bytes, cut in the middle."""

    def cut(path: Path) -> None:
        make(path)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])

    return cut


OBJECTS = [{"u": 1.5, "v": -2, "label": "a"}, {"u": 1000.25, "v": 3, "label": "b"}]
READ: list[tuple[str, Make]] = [
    ("comma.csv", text(PLAIN)),
    ("semicolon.csv", text(PLAIN.replace(",", ";"))),
    ("tab.tsv", text(PLAIN.replace(",", "\t"))),
    ("bar.csv", text(PLAIN.replace(",", "|"))),
    ("excel-names-its-separator.csv", text("sep=;\r\n" + GERMAN)),
    ("decimal-comma.csv", text(GERMAN)),
    ("thousands.csv", text('u,v,label\n1.5,-2,a\n"1,000.25",3,b\n')),
    ("swiss.csv", text("u;v;label\n1.5;-2;a\n1'000.25;3;b\n")),
    ("narrow-space.csv", text("u;v;label\n1,5;-2;a\n1\u202f000,25;3;b\n")),
    ("minus-sign.csv", text(PLAIN.replace("-2", "\u22122"))),
    ("mark.csv", text(PLAIN, mark=b"\xef\xbb\xbf")),
    ("utf-16.csv", text("\ufeff" + PLAIN, "utf-16-le")),
    ("utf-16-big.csv", text("\ufeff" + PLAIN, "utf-16-be")),
    ("utf-16-without-mark.csv", text(PLAIN, "utf-16-le")),
    ("windows-lines.csv", text(PLAIN.replace("\n", "\r\n"))),
    ("old-mac-lines.csv", text(PLAIN.replace("\n", "\r"))),
    ("no-last-line-end.csv", text(PLAIN.rstrip())),
    ("empty-lines.csv", text(PLAIN.replace("\n", "\n\n"))),
    ("trailing-separator.csv", text(PLAIN.replace("\n", ",\n"))),
    ("quoted.csv", text('"u","v","label"\n"1.5","-2","a"\n"1000.25","3","b"\n')),
    ("spaces.csv", text(PLAIN.replace(",", ", "))),
    ("pandas-index.csv", text(",u,v,label\n0,1.5,-2,a\n1,1000.25,3,b\n")),
    ("unnamed-index.csv", text("Unnamed: 0,u,v,label\n0,1.5,-2,a\n1,1000.25,3,b\n")),
    ("packed.csv.gz", raw(gzip.compress(PLAIN.encode()))),
    ("packed.csv.zst", zstd),
    ("table.feather", arrow()),
    ("compressed.feather", arrow("zstd")),
    ("stream.arrow", stream),
    ("index.parquet", parquet_with_index),
    ("objects.json", text(json.dumps(OBJECTS))),
    ("columns.json", text('{"u": [1.5, 1000.25], "v": [-2, 3], "label": ["a", "b"]}')),
    ("split.json", lambda path: frame().to_json(path, orient="split")),
    ("pandas.json", lambda path: frame().to_json(path)),
    ("lines.jsonl", text("\n".join(map(json.dumps, OBJECTS)))),
    ("book.xlsx", workbook([["u", "v", "label"], [1.5, -2, "a"], [1000.25, 3, "b"]])),
    ("empty-rows.xlsx", workbook([[], ["u", "v", "label"], [1.5, -2, "a"], [1000.25, 3, "b"]], [])),
    ("query.sql.toml", database("select u, v, label from t order by u")),
    ("arrays.h5", hdf5(x=ROWS, y=["a", "b"])),
    ("utf-16-decimal-comma.tsv", text(GERMAN.replace(";", "\t"), "utf-16")),
    ("mark.csv.zst", packed(b"\xef\xbb\xbf" + PLAIN.encode())),
    ("utf-16-decimal-comma.csv.zst", packed(GERMAN.encode("utf-16"))),
    ("mark.tsv.gz", raw(gzip.compress(b"\xef\xbb\xbf" + PLAIN.replace(",", "\t").encode()))),
    ("mark.jsonl", text("\r\n".join(map(json.dumps, OBJECTS)), mark=b"\xef\xbb\xbf")),
    ("numbers-as-text.json", text(json.dumps([{**OBJECTS[0], "u": "1.5"}, OBJECTS[1]]))),
    ("exponents.csv", text("u;v;label\n1,5E+00;-2;a\n1,00025E+03;3;b\n")),
    ("no-width.csv", text("\u200bu,v\u200b ,label\n1.5,-2,a\n1000.25,3,b\n")),
    ("wide-digits.csv", text("u,v,label\n\uff11.\uff15,-2,a\n1000.25,3,b\n")),
    ("decimals.parquet", exact_parquet),
    ("view.sql.toml", viewed("select * from seen")),
    ("other-bytes.npz", lambda p: np.savez(p, x=np.array(ROWS, ">f4"), y=["a", "b"])),
    ("by-columns.npz", lambda p: np.savez(p, x=np.asfortranarray(ROWS), y=["a", "b"])),
]


@pytest.mark.parametrize(("name", "make"), READ, ids=[name for name, _ in READ])
def test_an_odd_file_is_read_as_it_was_meant(tmp_path: Path, name: str, make: Make) -> None:
    make(tmp_path / name)
    found = read_records(tmp_path / name)
    assert found.x.tolist() == ROWS
    assert found.labels == LABELS
    assert found.columns in (("u", "v"), ())


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252", "utf-16"])
def test_a_name_with_an_umlaut_is_the_same_in_each_encoding(tmp_path: Path, encoding: str) -> None:
    text("Größe,Über,label\n1,2,größer\n", encoding)(tmp_path / "own.csv")
    found = read_records(tmp_path / "own.csv")
    assert (found.columns, found.labels) == (("Größe", "Über"), ("größer",))


REFUSED: list[tuple[str, Make, str]] = [
    ("empty.csv", raw(b""), "no label column 'label'"),
    ("header-only.csv", text("u,v,label\n"), "no examples"),
    ("ragged.csv", text(PLAIN + "1,2\n"), "example 3 has 2 cells, the header 3"),
    ("two-names.csv", text("u,u,label\n1,2,a\n"), "twice: 'u', columns 1 and 2"),
    ("two-forms.csv", text("ﬁt,fit,label\n1,2,a\n"), "twice: 'fit', columns 1 and 2"),
    ("no-name.csv", text("u,,label\n1,2,a\n3,2,a\n"), "column 2 has no name"),
    ("no-header.csv", text("1.5,-2,a\n1000.25,3,b\n"), "does not name the columns"),
    (
        "thousands-or-decimal.csv",
        text('u,v,label\n"1,234",2,a\n"5,678",3,b\n'),
        "column 'u': a comma",
    ),
    ("both-notations.csv", text("u;v;label\n1,5;2.5;a\n2,5;3.5;b\n"), "column 'u' and 'v'"),
    (
        "word.csv",
        text("u,v,label\n1,2,a\n1,two,b\n"),
        "example 2: column 'v' is not a finite number",
    ),
    ("underscore.csv", text("u,v,label\n1,1_000,a\n"), "column 'v' is not a finite number"),
    ("missing.csv", text("u,v,label\n1,NA,a\n"), "column 'v' is not a finite number"),
    ("open-quote.csv", text('u,v,label\n1,"2,a\n'), "a quotation mark is missing"),
    ("cyrillic.csv", text("вес,метка\n1,да\n2,нет\n", "cp1251"), "save it as UTF-8"),
    ("japanese.csv", text("名前,値\n東京,1\n大阪,2\n" * 4, "shift-jis"), "UTF-8"),
    ("polish.csv", text("żółw,ćma\n1,2\n", "cp1250"), "save it as UTF-8"),
    ("zeros.csv", raw(b"u\0,v,label\n1,2,a\n"), "line 1 has a NUL"),
    ("cut.csv.gz", half(raw(gzip.compress(PLAIN.encode() * 50))), "damaged or cut short"),
    ("not-packed.csv.gz", text(PLAIN), "damaged or cut short"),
    ("cut.csv.zst", half(zstd), "damaged or cut short"),
    ("cut.feather", half(arrow()), r"cut\.feather"),
    ("cut.arrow", half(stream), r"cut\.arrow"),
    ("lists.parquet", nested_parquet, "column 'u' holds list"),
    ("cut.json", half(text(json.dumps(OBJECTS))), "not JSON, or cut short"),
    ("nested.json", text('[{"u": {"w": 1}, "label": "a"}]'), "example 1: 'u' is nested"),
    ("twice.json", text('[{"u": 1, "u": 2, "label": "a"}]'), "has 'u' twice"),
    ("lengths.json", text('{"u": [1, 2], "label": ["a"]}'), "different lengths"),
    ("number.json", text("7"), "neither objects nor columns"),
    ("bad-line.jsonl", text('{"u": 1, "label": "a"}\n{"u": 2,\n'), "line 2: not JSON"),
    ("two.xlsx", workbook([["u", "label"], [1, "a"]], [["w"], [2]]), "sheets 'Sheet1', 'Sheet2'"),
    ("text.xlsx", text(PLAIN), "not a workbook"),
    ("error.xlsx", workbook([["u", "label"], ["#N/A", "a"]]), "column 'u' is not a finite number"),
    ("failing.sql.toml", database("select w from t"), "refused the query"),
    ("no-query.sql.toml", text('url = "sqlite://"\n'), "it needs query"),
    ("no-url.sql.toml", text('url = "nothing"\nquery = "select 1"\n'), "not one of SQLAlchemy"),
    ("other-names.h5", hdf5(data=ROWS), "needs data sets x and y, and has 'data'"),
    ("text.h5", text(PLAIN), "not HDF5"),
    ("objects.npz", lambda p: np.savez(p, x=np.array([{}, 1]), y=["a", "b"]), "x and y"),
    ("fourth.doc", text(PLAIN), "unknown format"),
    (
        "merged.xlsx",
        workbook([["sensors", None, "result"], ["u", "v", "label"], [1.5, -2, "a"]]),
        "column 2 has no name",
    ),
    ("title.csv", text("Report,,\n" + PLAIN), "column 2 has no name"),
    ("gap.xlsx", workbook([["u", "v", "label"], [1.5, None, "a"]]), "column 'v' is not a finite"),
    ("records.parquet", parquet(u=[{"w": 1.0}, {"w": 2.0}], label=["a", "b"]), "'u' holds struct"),
    ("maps.parquet", mapped_parquet, "column 'u' holds map"),
    ("twice.sql.toml", viewed("select u, u, label from seen"), "twice: 'u', columns 1 and 2"),
    ("bytes.sql.toml", viewed("select * from bytes"), "example 1: column 'u' is not a finite"),
    ("writes.sql.toml", viewed("delete from t"), "it must be one SELECT"),
    ("groups.h5", grouped_hdf5, "needs data sets x and y, and has 'test', 'train'"),
    (
        "fields.h5",
        hdf5(x=np.array([(1.0, 2.0)], [("u", "f8"), ("v", "f8")]), y=["a"]),
        "not numbers",
    ),
    ("complex.npz", lambda p: np.savez(p, x=[[1j]], y=["a"]), "complex128, not numbers"),
    ("wrapped.json", text(json.dumps({"data": OBJECTS})), "'data' is nested"),
    ("lists.json", text('[{"u": [1, 2], "label": "a"}]'), "example 1: 'u' is nested"),
    ("not-a-number.json", text('[{"u": NaN, "label": "a"}]'), "column 'u' is not a finite number"),
    (
        "gaps.csv",
        text("u,v,label\n1,2,a\n1,n/a,b\n2,?,a\n3,NULL,b\n"),
        "example 2: column 'v' is not a finite number",
    ),
    (
        "dates.csv",
        text("d,u,label\n2024-01-02,1,a\n03/04/2024,2,b\n"),
        "example 1: column 'd' is not a finite number",
    ),
    (
        "boxes.csv",
        listed_images("one.png,0,0,cat", "two.png,0,0,cat", "one.png,1,1,dog"),
        "examples 1 and 3 are one image with different labels",
    ),
    ("lost.csv", listed_images("one.png,0,0,cat", "three.png,0,0,dog"), "example 2: its file"),
]


@pytest.mark.parametrize(("name", "make", "said"), REFUSED, ids=[name for name, *_ in REFUSED])
def test_a_file_that_cannot_be_read_for_certain_is_refused_in_one_line(
    tmp_path: Path, name: str, make: Make, said: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(DataError, match=said) as caught:
        read_records(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_no_message_shows_the_password_of_a_database(tmp_path: Path) -> None:
    file = tmp_path / "own.sql.toml"
    file.write_text('url = "sqlite:////none/at/all?secret=hunter2"\nquery = "select 1"\n')
    with pytest.raises(DataError) as caught:
        read_records(file)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("spelling", ["0", "0.0", "0.", " 0 "])
def test_a_label_is_the_same_however_a_table_writes_its_number(
    tmp_path: Path, spelling: str
) -> None:
    """`0.0` in CSV and `0` in Parquet were two labels."""
    (tmp_path / "own.csv").write_text(f"u,label\n1,{spelling}\n2,1\n")
    spec = specification(labels=["0", "1"], features={"shape": [1]})
    assert read_dataset(tmp_path / "own.csv", spec).y.tolist() == [0, 1]


def test_an_empty_label_is_no_class(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("u,label\n1,a\n2,\n")
    with pytest.raises(DataError, match="example 2 has no label"):
        read_dataset(tmp_path / "own.csv", specification(features={"shape": [1]}))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("own.npz", lambda p: np.savez(p, x=[[1.0], [2.0]], y=[1.0, np.nan])),
        ("own.parquet", parquet(u=[1.0, 2.0], label=[1.0, np.nan])),
        ("own.json", text('[{"u": 1, "label": 1}, {"u": 2, "label": NaN}]')),
    ],
)
def test_a_label_that_is_no_number_is_no_class(tmp_path: Path, name: str, make: Make) -> None:
    """It was one of its own, called nan."""
    make(tmp_path / name)
    with pytest.raises(DataError, match="example 2 has no label"):
        read_dataset(tmp_path / name, specification(labels=["1", "2"], features={"shape": [1]}))


@pytest.mark.parametrize(
    "suffix",
    ["", ".csv", ".xlsx", ".parquet", ".feather", ".json", ".npz", ".h5", ".txt", ".png", ".odd"],
)
def test_a_file_that_is_not_there_is_said_not_to_be(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"own{suffix}"
    with pytest.raises(DataError, match=f"own{suffix}: No such file or directory$"):
        read_records(path)
