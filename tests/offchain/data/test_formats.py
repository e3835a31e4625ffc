"""The formats of the public data sets: what is read, by hand, and what is refused."""

import contextlib
import gzip
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from fedpact.data.dataset import array_digest
from fedpact.data.readers import cifar, cmapss, read_dataset, read_records, speeches
from fedpact.data.readers.records import unit_digest
from fedpact.errors import DataError
from tests.offchain.data.small_files import (
    cifar_batch,
    cycles,
    idx,
    leaf,
    write_cifar,
    write_cmapss,
    write_idx,
)
from tests.support.specifications import specification

LINEAR = {"name": "linear-regression", "parameters": {}}
PLAY = """First Citizen:
Speak, speak.

ALL:
Resolved.
Yes!

Exeunt: all

First Citizen:
First.
"""


def test_a_folder_of_idx_files_is_read_with_digits_as_labels(tmp_path):
    found = read_records(write_idx(tmp_path))
    assert found.x.dtype == np.uint8
    assert found.x[2].tolist() == [[8, 9], [10, 11]]
    assert found.labels == ("0", "1", "2", "3")


def test_compressed_idx_files_are_read_too(tmp_path):
    plain = read_records(write_idx(tmp_path / "plain", ("train",)))
    write_idx(tmp_path / "packed", ("train",))
    for path in list((tmp_path / "packed").iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert read_records(tmp_path / "packed").units == plain.units


def test_the_same_image_has_the_same_unit_in_idx_and_npz(tmp_path):
    found = read_records(write_idx(tmp_path))
    np.savez(tmp_path / "same.npz", x=found.x.reshape(4, 4).astype(float), y=np.arange(4))
    assert read_records(tmp_path / "same.npz").units == found.units


def test_as_many_labels_as_images_are_needed(tmp_path):
    write_idx(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(3)))
    with pytest.raises(DataError, match="4 images and 3 labels"):
        read_records(tmp_path)


def test_cifar_batches_are_read_as_channels_with_named_labels(tmp_path):
    found = read_records(write_cifar(tmp_path))
    assert found.x.shape == (10, 3, 32, 32)
    assert found.x.dtype == np.uint8
    assert found.x[:, 2, 31, 31].tolist() == list(range(10))
    assert found.labels[:3] == ("cat", "dog", "cat")


def test_the_first_1024_bytes_of_a_cifar_image_are_its_red(tmp_path):
    write_cifar(tmp_path)
    image = np.arange(3072)[None] // 1024
    (tmp_path / "data_batch_1").write_bytes(cifar_batch(image, [0]))
    found = cifar.read_cifar(tmp_path, ("data_batch_1",))
    assert [set(found.x[0, channel].ravel().tolist()) for channel in range(3)] == [{0}, {1}, {2}]


class MakesFolder:
    """Code that a hostile batch tries to run in its reader."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_a_batch_that_names_a_function_is_refused_and_the_function_not_called(tmp_path):
    write_cifar(tmp_path / "c")
    target = tmp_path / "made"
    hostile = pickle.dumps({b"data": MakesFolder(target), b"labels": [0]}, protocol=2)
    (tmp_path / "c" / "data_batch_1").write_bytes(hostile)
    with pytest.raises(DataError, match=r"data_batch_1.*names \w+\.mkdir"):
        read_records(tmp_path / "c")
    assert not target.exists()


@pytest.mark.parametrize(
    ("images", "labels", "reason"),
    [
        (np.zeros((2, 3072)), [0], "label for each"),
        (np.zeros((1, 3072)), [2], "example 1 has label 2"),
        (np.zeros((1, 3071)), [0], "shape"),
    ],
)
def test_a_batch_that_does_not_fit_itself_is_refused(tmp_path, images, labels, reason):
    write_cifar(tmp_path)
    (tmp_path / "data_batch_1").write_bytes(cifar_batch(images, labels))
    with pytest.raises(DataError, match=reason):
        read_records(tmp_path)


def test_a_batch_of_numbers_other_than_bytes_is_refused(tmp_path):
    write_cifar(tmp_path)
    content = pickle.dumps({b"data": np.zeros((1, 3072)), b"labels": [0]}, protocol=2)
    (tmp_path / "data_batch_1").write_bytes(content)
    with pytest.raises(DataError, match="not bytes"):
        read_records(tmp_path)


def test_leafs_images_keep_their_writers_and_are_units_by_themselves(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(leaf({"w1": ([[0.5, 1.0], [0.0, 0.25]], [61, 0]), "w2": ([[1.0, 1.0]], [7])}))
    found = read_records(path)
    assert found.x.tolist() == [[0.5, 1.0], [0.0, 0.25], [1.0, 1.0]]
    assert found.labels == ("61", "0", "7")
    assert found.groups == ("w1", "w1", "w2")
    assert found.units[2] == array_digest(np.array([1.0, 1.0]), "7")


def test_leafs_texts_become_codes_and_a_role_is_one_unit(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(leaf({"ROMEO": (["ab ", "b \n"], ["\n", "c"])}))
    found = read_records(path)
    assert [[speeches.ALPHABET[code] for code in row] for row in found.x] == [
        ["a", "b", " "],
        ["b", " ", "\n"],
    ]
    assert found.labels == ("newline", "c")
    assert found.units == (unit_digest("ROMEO"),) * 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON"),
        ('{"users": []}', "not a LEAF file"),
        ('{"users": ["a"], "num_samples": [1], "user_data": {}}', "not a LEAF file"),
        ('{"users": [], "num_samples": [], "user_data": {}}', "no examples"),
        (leaf({"a": ([[1], [2]], [0, 1])}).replace("[2]", "[3]", 1), "user a"),
        (leaf({"a": ([[1, 2], [1]], [0, 1])}), "user a: ragged"),
        (leaf({"a": ([["p"]], [0])}), "user a: ragged, or not numbers"),
        (
            leaf({"a": (["abc", "ab"], ["d", "c"])}),
            "user a, example 2: 2 characters, but the first has 3",
        ),
        (leaf({"a": (["ab"], ["cd"])}), "one character after it"),
        (leaf({"a": (["aé"], ["b"])}), "character 2 is 'é'"),
        (leaf({"a": ([[1.0, 2.0]], [0]), "b": ([[1.0]], [0])}), "user b"),
        (leaf({"a": ([[1.0, 1e999]], [0])}), "not a finite number"),
    ],
)
def test_bad_leaf_files_are_refused_in_one_line(tmp_path, text, reason):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(DataError, match=reason) as caught:
        read_records(path)
    assert "bad.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plays_speeches_are_joined_by_role(tmp_path):
    path = tmp_path / "play.txt"
    path.write_text(PLAY)
    assert speeches.read_roles(path) == {
        "First Citizen": "Speak, speak.\nFirst.",
        "ALL": "Resolved.\nYes!",
    }


def test_windows_by_hand(tmp_path):
    path = tmp_path / "play.txt"
    found = speeches.windows(path, {"A": "abcdefg", "B": "xy", "C": "pqr"}, window=2, stride=2)
    text = ["".join(speeches.ALPHABET[code] for code in row) for row in found.x]
    # Of B no character follows the first window.
    assert text == ["ab", "cd", "ef", "pq"]
    assert found.labels == ("c", "e", "g", "r")
    assert found.groups == ("A", "A", "A", "C")


def test_every_character_of_the_alphabet_has_its_own_code_and_name():
    codes = speeches.encode(Path("-"), speeches.ALPHABET, "all")
    assert codes.tolist() == list(range(96))
    assert len(set(speeches.LABELS)) == 96


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no speaker here", "no line NAME:"),
        (b"A:\nshort\n", "more than 80"),
        (b"A:\n" + b"x" * 90 + b"\t\n", r"role A: character 91 is '\\t'"),
        (b"A:\n\xff\xfe" + b"x" * 90, "UTF-8"),
    ],
)
def test_texts_that_are_not_plays_are_refused(tmp_path, content, reason):
    path = tmp_path / "play.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason):
        read_records(path)


def test_engines_become_windows_with_the_cycles_left_by_hand(tmp_path):
    folder = write_cmapss(tmp_path, train=(4, 2, 3))
    found = cmapss.read_run_to_failure(folder / "train_FD001.txt", window=3)
    assert found.x.shape == (3, 3, 14)
    assert found.labels == ("1", "0", "0")
    assert found.groups == ("cmapss-fd001-train-1",) * 2 + ("cmapss-fd001-train-3",)
    low, high = cmapss.RANGES[2]
    # Sensor 2 reads 201, 202, ... in cycles 1, 2, ...
    expected = [(2 * (200 + cycle) - low - high) / (high - low) for cycle in (2, 3, 4)]
    assert found.x[1, :, 0].tolist() == pytest.approx(expected, rel=1e-6)


def test_with_a_stride_the_last_window_before_failure_stays(tmp_path):
    folder = write_cmapss(tmp_path, train=(10,))
    found = cmapss.read_run_to_failure(folder / "train_FD001.txt", window=3, stride=4)
    assert found.labels == ("4", "0")


def test_an_engines_unit_stays_the_same_with_more_cycles(tmp_path):
    few = read_records(write_cmapss(tmp_path / "a", train=(31,)) / "train_FD001.txt")
    more = read_records(write_cmapss(tmp_path / "b", train=(40, 35)) / "train_FD001.txt")
    assert len(set(few.units)) == 1
    assert len(set(more.units)) == 2
    assert few.units[0] in more.units


def test_the_official_test_is_the_last_window_of_each_engine(tmp_path):
    folder = write_cmapss(tmp_path, test=(3, 5), left=(7, 140))
    found = cmapss.read_last_windows(folder / "test_FD001.txt", folder / "RUL_FD001.txt", 3)
    assert found.labels == ("7", "140")
    low, high = cmapss.RANGES[2]
    expected = [(2 * (200 + cycle) - low - high) / (high - low) for cycle in (3, 4, 5)]
    assert found.x[1, :, 0].tolist() == pytest.approx(expected, rel=1e-6)


def test_a_providers_engines_are_read_as_a_specification_asks(tmp_path):
    output = {"column": "cycles left", "scale": 2.0, "cap": 3.0}
    spec = specification(
        task="regression", labels=[], output=output, features={"shape": [30, 14]}, family=LINEAR
    )
    found = read_dataset(write_cmapss(tmp_path, train=(36,)) / "train_FD001.txt", spec)
    assert found.x.shape == (7, 30, 14)
    assert found.y.dtype == np.float32
    assert found.y.tolist() == [1.5, 1.5, 1.5, 1.5, 1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is empty"),
        (cycles([31])[:-20], "line 31 has"),
        (cycles([31]).replace("2130", "x", 1), "line 30"),
        (cycles([31]).replace("2130", "inf", 1), "line 30.*not finite"),
        (cycles([31]).replace("1 17 ", "1 18 ", 1), "line 17: engine 1 is at cycle 18, not 17"),
        (cycles([31, 31]) + cycles([31]), "line 63: engine 1 appears a second time"),
        (cycles([29]), "no engine ran for 30"),
    ],
    ids=["empty", "cut", "word", "infinite", "cycle", "twice", "short"],
)
def test_bad_engine_files_are_refused(tmp_path, text, reason):
    path = tmp_path / "train_FD001.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=reason) as caught:
        read_records(path)
    assert "train_FD001.txt" in str(caught.value)


def test_a_test_file_must_match_the_file_of_remaining_cycles(tmp_path):
    folder = write_cmapss(tmp_path, test=(30, 30), left=(7,))
    with pytest.raises(DataError, match="1 lines for the 2 engines"):
        cmapss.read_last_windows(folder / "test_FD001.txt", folder / "RUL_FD001.txt")


def test_a_test_engine_shorter_than_the_window_is_refused(tmp_path):
    folder = write_cmapss(tmp_path, test=(30, 32))
    with pytest.raises(DataError, match="engine 1 has 30 cycles, fewer than a window"):
        cmapss.read_last_windows(folder / "test_FD001.txt", folder / "RUL_FD001.txt", window=31)


def binary_files(folder):
    """One good file of each binary format, and what to read."""
    write_idx(folder / "idx")
    write_cifar(folder / "cifar", per_batch=1)
    np.savez(folder / "plain.npz", x=np.ones((3, 4)), y=np.arange(3), unit=np.array(list("aab")))
    np.savez_compressed(folder / "packed.npz", x=np.ones((3, 4)), y=np.arange(3))
    yield folder / "idx" / "train-images-idx3-ubyte", folder / "idx"
    yield folder / "cifar" / "data_batch_1", folder / "cifar"
    yield folder / "plain.npz", folder / "plain.npz"
    yield folder / "packed.npz", folder / "packed.npz"


def test_a_binary_file_cut_anywhere_is_refused(tmp_path):
    for path, read in binary_files(tmp_path):
        whole = path.read_bytes()
        for end in np.linspace(0, len(whole) - 1, 40).astype(int):
            path.write_bytes(whole[:end])
            with pytest.raises(DataError, match=read.name):
                read_records(read)
        path.write_bytes(whole)
        read_records(read)


def test_a_damaged_binary_file_is_read_or_refused_and_nothing_else(tmp_path):
    generator = np.random.default_rng(0)
    for path, read in binary_files(tmp_path):
        whole = path.read_bytes()
        for _ in range(60):
            damaged = bytearray(whole)
            for index in generator.integers(0, min(len(whole), 400), size=2):
                damaged[index] = generator.integers(0, 256)
            path.write_bytes(damaged)
            with contextlib.suppress(DataError):
                read_records(read)


@pytest.mark.parametrize("name", ["data.doc", "empty"])
def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path, name):
    path = tmp_path / name
    if path.suffix:
        path.write_bytes(b"?")
    else:
        path.mkdir()
    with pytest.raises(DataError, match=r"\.csv"):
        read_records(path)
