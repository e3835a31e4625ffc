"""Documents: the same from folders, tables and packed arrays."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpact.data.dataset import Dataset, document_digest
from fedpact.data.description import describe
from fedpact.data.documents import MAX_BYTES, are_documents, decoded, documents, pack, unpack
from fedpact.data.readers import read_dataset, read_records
from fedpact.data.slices import decode_slice, encode_slice
from fedpact.errors import DataError
from tests.support.specifications import specification

TEXTS = [
    ("cat", "a cat\r\nsat"),
    ("cat", "caf\u00e9 \x00\x07"),
    ("dog", "a dog, barking"),
    ("dog", ""),
]


def texts_specification(**changes):
    return specification(
        labels=["cat", "dog"],
        features={"kind": "text", "shape": []},
        **changes,
    )


def folder(root: Path) -> Path:
    for number, (label, text) in enumerate(TEXTS):
        (root / label).mkdir(parents=True, exist_ok=True)
        (root / label / f"{number}.txt").write_bytes(text.encode())
    (root / "cat" / ".hidden").write_text("not read")
    return root


def table(path: Path) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("id", "text", "label"), *((n, t, c) for n, (c, t) in enumerate(TEXTS))]
        )
    return path


def packed(path: Path) -> Path:
    np.savez(
        path, **pack(documents([text for _, text in TEXTS])), y=np.array([c for c, _ in TEXTS])
    )
    return path


@pytest.mark.parametrize("make", [folder, table, packed])
def test_a_document_is_the_same_unit_in_every_format(tmp_path: Path, make) -> None:
    name = {folder: "texts", table: "texts.csv", packed: "texts.npz"}[make]
    found = read_dataset(make(tmp_path / name), texts_specification())
    assert found.x.tolist() == [text for _, text in TEXTS]
    assert found.y.tolist() == [0, 0, 1, 1]
    assert found.units == tuple(document_digest(text, label) for label, text in TEXTS)


def test_parquet_holds_documents_too(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"text": [t for _, t in TEXTS], "label": [c for c, _ in TEXTS]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "texts.parquet")
    assert read_records(tmp_path / "texts.parquet").units == tuple(
        document_digest(text, label) for label, text in TEXTS
    )


def test_bytes_that_are_not_utf8_are_read_as_latin_1() -> None:
    assert decoded(b"caf\xc3\xa9") == "caf\u00e9"
    assert decoded(b"caf\xe9 \xff") == "caf\u00e9 \u00ff"


def test_a_document_may_have_ten_megabytes_but_at_most_sixteen(tmp_path: Path) -> None:
    (tmp_path / "long").mkdir()
    (tmp_path / "long" / "one").write_bytes(b"word " * 2_000_000)
    assert len(read_records(tmp_path).x[0]) == 10_000_000
    (tmp_path / "long" / "one").write_bytes(b"x" * (MAX_BYTES + 1))
    with pytest.raises(DataError, match="long/one: a document of 16777217 bytes: at most 16777216"):
        read_records(tmp_path)


def test_a_table_of_texts_has_no_other_units(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("text,label,unit\na,cat,1\n")
    with pytest.raises(DataError, match="each text is a unit"):
        read_records(path)


def test_numbers_and_texts_are_not_interchangeable(tmp_path: Path) -> None:
    np.savez(tmp_path / "numbers.npz", x=np.ones((2, 3)), y=["cat", "dog"])
    with pytest.raises(DataError, match="it contains numbers, the specification asks for text"):
        read_dataset(tmp_path / "numbers.npz", texts_specification())
    with pytest.raises(DataError, match="it contains text, the specification asks for numbers"):
        read_dataset(packed(tmp_path / "texts.npz"), specification())


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match=r"unknown format; use .* folders of texts"):
        read_records(tmp_path)


def test_a_description_gives_lengths_and_says_that_it_is_text(tmp_path: Path) -> None:
    found = describe(folder(tmp_path), "pets")
    assert (found.values, found.characters) == (None, (0, 14))
    assert found.attributes["features"] == "text"


@given(st.lists(st.text(alphabet=st.characters(), max_size=20), max_size=6))
def test_unpacking_inverts_packing(texts: list[str]) -> None:
    found = unpack(pack(documents(texts)))
    assert are_documents(found)
    assert found.tolist() == texts


@pytest.mark.parametrize(
    ("text", "ends", "reason"),
    [
        (b"abc", [2], "do not increase"),
        (b"abc", [3, 2], "do not increase"),
        (b"abc", [-1, 3], "do not increase"),
        (b"\xff", [1], "can't decode"),
    ],
)
def test_arrays_that_are_not_packed_documents_are_refused(text, ends, reason) -> None:
    arrays = {"text": np.frombuffer(text, np.uint8), "ends": np.array(ends, np.int64)}
    with pytest.raises(DataError, match=reason):
        unpack(arrays)


def test_a_slice_of_texts_is_decoded_and_one_of_numbers_is_not() -> None:
    part = Dataset(documents([text for _, text in TEXTS]), np.array([0, 0, 1, 1]), ())
    found = decode_slice(encode_slice(part), texts_specification())
    assert (found.x.tolist(), found.y.tolist()) == (part.x.tolist(), part.y.tolist())
    numbers = encode_slice(Dataset(np.ones((2, 3), np.float32), np.array([0, 1]), ()))
    with pytest.raises(DataError, match="no array"):
        decode_slice(numbers, texts_specification())
    with pytest.raises(DataError, match="no examples"):
        decode_slice(encode_slice(part), specification())
