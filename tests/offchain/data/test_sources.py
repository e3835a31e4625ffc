"""Public data sets."""

import gzip
import os

import numpy as np
import pytest

from fedpact.data import sources
from fedpact.data.readers import cmapss
from fedpact.data.readers.records import unit_digest
from fedpact.errors import DataError, DataMissing
from tests.offchain.data.small_files import idx, write_cifar, write_cmapss, write_idx, write_leaf


def small_mnist(folder):
    for prefix, count in (("train", 3), ("t10k", 2)):
        images = np.arange(count * 4).reshape(count, 2, 2)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        labels = gzip.compress(idx(np.arange(count)))
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(labels)


def test_digits_are_split_by_seed_without_overlap():
    first, again, other = sources.digits(1), sources.digits(1), sources.digits(2)
    assert first.x_train.shape == (1437, 64)
    assert first.x_test.shape == (360, 64)
    assert first.x_train.max() == first.scale == 16.0
    assert np.array_equal(first.x_test, again.x_test)
    assert not np.array_equal(first.x_test, other.x_test)
    both = np.concatenate([first.x_train, first.x_test])
    everything = np.concatenate([other.x_train, other.x_test])
    assert sorted(map(bytes, both)) == sorted(map(bytes, everything))


@pytest.mark.parametrize("below", [".", "mnist", "mnist/raw"])
def test_mnist_is_read_from_plain_and_packed_idx_files(tmp_path, monkeypatch, below):
    folder = tmp_path / below
    folder.mkdir(parents=True, exist_ok=True)
    small_mnist(folder)
    monkeypatch.setenv("FEDPACT_DATA", str(tmp_path))
    found = sources.mnist()
    assert found.shape == (2, 2)
    assert found.x_train[2].tolist() == [[8, 9], [10, 11]]
    assert found.y_test.tolist() == [0, 1]


def test_mnist_without_its_variable_or_files_says_so_in_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("FEDPACT_DATA", raising=False)
    with pytest.raises(DataMissing, match="set FEDPACT_DATA"):
        sources.mnist()
    with pytest.raises(DataError, match="no train-images-idx3-ubyte"):
        sources.mnist(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: b"\0\0\x0b" + data[3:],
        lambda data: data[:6],
        lambda data: data[:4] + b"\xff" * 12 + data[16:],
    ],
)
def test_a_broken_idx_file_is_refused(tmp_path, damage):
    small_mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="train-images"):
        sources.mnist(tmp_path)


def test_fashion_mnist_is_read_from_its_own_folder_alone(tmp_path):
    write_idx(tmp_path / "mnist" / "raw")
    with pytest.raises(DataError, match="fashion-mnist: no train-images-idx3-ubyte"):
        sources.fashion_mnist(tmp_path)
    write_idx(tmp_path / "fashion-mnist", count=5)
    found = sources.fashion_mnist(tmp_path)
    assert (found.name, len(found.y_train), found.shape) == ("fashion-mnist", 5, (2, 2))


def test_cifar10_stays_in_bytes_until_it_is_asked_for(tmp_path):
    write_cifar(tmp_path / "cifar-10-batches-py")
    found = sources.cifar10(tmp_path)
    assert found.x_train.dtype == np.uint8
    assert found.labels == ("cat", "dog")
    assert found.y_test.tolist() == [0, 1]
    part = found.train_set(np.array([3, 5]))
    assert part.x.dtype == np.float32
    assert part.x[:, 0, 0, 0].tolist() == [np.float32(3 / 255), np.float32(5 / 255)]
    assert part.y.tolist() == [1, 1]


@pytest.mark.parametrize("below", ["femnist", "femnist/data"])
def test_femnist_is_read_with_its_writers(tmp_path, below):
    users = {"w9": ([[0.0, 1.0]] * 2, [61, 3]), "w1": ([[0.5, 0.5]], [3])}
    write_leaf(tmp_path / below, users)
    found = sources.femnist(tmp_path)
    assert found.y_train.tolist() == [61, 3, 3]
    assert found.group_names == ("w9", "w1")
    assert found.groups_train.tolist() == [0, 0, 1]
    assert not found.grouped_units
    assert found.train_set(np.arange(3)).units == ()


def test_a_class_that_femnist_does_not_have_is_refused(tmp_path):
    write_leaf(tmp_path / "femnist", {"w": ([[0.0]], [62])})
    with pytest.raises(DataError, match="label '62'"):
        sources.femnist(tmp_path)


def test_leafs_shakespeare_is_read_by_role(tmp_path):
    write_leaf(tmp_path / "leaf-shakespeare", {"HAMLET": (["to be "], ["o"])})
    found = sources.leaf_shakespeare(tmp_path)
    assert found.shape == (6,)
    assert found.labels[found.y_train[0]] == "o"
    assert found.train_set(np.array([0])).units == (unit_digest("HAMLET"),)


def test_shakespeares_roles_are_cut_in_time_and_no_window_crosses(tmp_path):
    (tmp_path / "shakespeare").mkdir()
    text = "abcdefghij" * 2
    (tmp_path / "shakespeare" / "tinyshakespeare.txt").write_text(f"A:\n{text}\n\nB:\nxyxyx\n")
    found = sources.shakespeare(tmp_path, window=3, stride=1)
    # 16 of A's 20 characters train: 13 windows; of B's five, four: one window.
    assert found.groups_train.tolist() == [0] * 13 + [1]
    assert [found.labels[y] for y in found.y_test] == ["j"]
    assert found.grouped_units


def test_engines_are_a_regression_with_a_cap(tmp_path):
    write_cmapss(tmp_path / "cmapss", train=(200, 31, 33), test=(30, 32), left=(7, 140))
    found = sources.cmapss_fd001(tmp_path)
    assert found.task == "regression"
    assert found.shape == (30, 14)
    assert found.y_train[0] == 170.0
    assert found.public_groups == (0, 1, 2)
    train, test = found.train_set(np.array([0, 171])), found.test_set()
    assert train.y.tolist() == [1.0, np.float32(1 / 125)]
    assert test.y.tolist() == [np.float32(7 / 125), 1.0]
    assert train.units == tuple(map(unit_digest, cmapss.public_groups()[:2]))


@pytest.mark.parametrize("name", [name for name in sources.SOURCES if name != "digits"])
def test_a_missing_data_set_is_named_with_the_folders_searched(tmp_path, monkeypatch, name):
    monkeypatch.setenv("FEDPACT_DATA", str(tmp_path))
    with pytest.raises(DataMissing, match=f"{name}: (.*: )?no .* in {tmp_path}"):
        sources.load(name)


def test_an_unknown_data_set_is_refused_with_the_known_names():
    with pytest.raises(DataError, match=r"'minst'; there are .*cifar10"):
        sources.load("minst")


def test_parts_of_different_shapes_are_refused(tmp_path):
    write_idx(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((4, 3, 3))))
    with pytest.raises(DataError, match=r"\(2, 2\), test examples \(3, 3\)"):
        sources.mnist(tmp_path)


def test_the_first_ten_engines_are_public(tmp_path):
    write_cmapss(tmp_path / "cmapss", train=[31] * 12)
    assert sources.cmapss_fd001(tmp_path).public_groups == tuple(range(10))


def real(name):
    """The data set as published, or a skip that says why not."""
    try:
        return sources.load(name)
    except DataMissing as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("name", "train", "test", "groups"),
    [
        ("mnist", (60_000, 28, 28), (10_000, 28, 28), 0),
        ("cifar10", (50_000, 3, 32, 32), (10_000, 3, 32, 32), 0),
        ("shakespeare", (100_144, 80), (23_454, 80), 247),
        ("cmapss-fd001", (17_731, 30, 14), (100, 30, 14), 100),
        ("fashion-mnist", (60_000, 28, 28), (10_000, 28, 28), 0),
    ],
)
def test_the_real_data_sets_have_their_sizes(name, train, test, groups):
    found = real(name)
    assert found.x_train.shape == train
    assert found.x_test.shape == test
    assert len(found.group_names) == groups


def test_the_ranges_of_the_sensors_are_those_of_the_public_engines():
    real("cmapss-fd001")
    rows = np.loadtxt(f"{os.environ['FEDPACT_DATA']}/cmapss/train_FD001.txt")
    public = rows[np.isin(rows[:, 0], cmapss.PUBLIC_ENGINES)]
    for sensor, ends in cmapss.RANGES.items():
        readings = public[:, 4 + sensor]
        assert (readings.min(), readings.max()) == ends
