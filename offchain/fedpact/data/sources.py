"""Public data sets for demonstrations and experiments, by name.

All but `digits` are files in the folder that FEDPACT_DATA names (docs/data.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset
from fedpact.data.documents import are_documents, documents
from fedpact.data.folders import data_folder
from fedpact.data.readers import capped, cifar, cmapss, idx, label_indices, leaf, speeches
from fedpact.data.readers.records import Records, first_not_finite, scaled, unit_digest
from fedpact.data.text_collections import COLLECTIONS
from fedpact.errors import DataError, DataMissing
from fedpact.types.specification import RegressionOutput

DIGITS_TEST_SIZE = 360
"""A fifth of the 1,797 images."""
ROLE_TRAIN_SHARE = 0.8
"""Share of each role's text, from its start, for training (McMahan et al. 2017)."""
FEMNIST_CLASSES = 62
"""Ten digits, then capital, then small letters."""


@dataclass(frozen=True)
class TrainTestData:
    """A data set in two parts. Values as published, not yet scaled."""

    name: str
    x_train: NDArray[Any]
    """Shape (n, *shape), uint8 or float32; or documents, (n,)."""
    y_train: NDArray[Any]
    """Shape (n,): int64 indices into `labels`, or float32 uncapped values of a regression."""
    x_test: NDArray[Any]
    y_test: NDArray[Any]
    labels: tuple[str, ...]
    """Empty for a regression."""
    scale: float
    """Values are divided by this before use: the largest possible one, or 1."""
    output: RegressionOutput | None = None
    """How a regression's values are capped and scaled."""
    groups_train: NDArray[np.int64] | None = None
    """Index into `group_names` of each training example's engine, writer or role."""
    group_names: tuple[str, ...] = ()
    grouped_units: bool = False
    """Whether all examples of a group are one privacy unit."""
    public_groups: tuple[int, ...] = ()
    """Indices into `group_names` of groups declared public: the reader's constants reveal them."""

    @property
    def task(self) -> Literal["classification", "regression"]:
        return "classification" if self.output is None else "regression"

    @property
    def kind(self) -> Literal["numbers", "text"]:
        return "text" if are_documents(self.x_train) else "numbers"

    @property
    def features(self) -> dict[str, Any]:
        """The specification's `features`."""
        if self.kind == "text":
            return {"kind": "text", "shape": []}
        return {"shape": list(self.shape), "scale": self.scale}

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(size) for size in self.x_train.shape[1:])

    def unit_names(self, indices: NDArray[np.int64]) -> tuple[str, ...]:
        """Units of the training examples at `indices`; empty if each is its own unit."""
        if not self.grouped_units or self.groups_train is None:
            return ()
        return tuple(self.group_names[group] for group in self.groups_train[indices].tolist())

    def train_set(self, indices: NDArray[np.int64]) -> Dataset:
        """The training examples at `indices`, scaled.

        Units are set only if groups form them: public records need no ledger, but training must
        know which examples belong together.
        """
        units = tuple(unit_digest(name) for name in self.unit_names(indices))
        return self._dataset(self.x_train[indices], self.y_train[indices], units)

    def test_set(self) -> Dataset:
        """All test examples, scaled."""
        return self._dataset(self.x_test, self.y_test, ())

    def _dataset(self, x: NDArray[Any], y: NDArray[Any], units: tuple[bytes, ...]) -> Dataset:
        if self.output is not None:
            y = capped(y.astype(np.float64), self.output)
        return Dataset(x if self.kind == "text" else scaled(x, self.scale), y, units)


def digits(seed: int = 0) -> TrainTestData:
    """scikit-learn's 8 x 8 handwritten digits, split at random into 1,437 and 360 by `seed`."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.default_rng(seed).permutation(len(bunch.target))
    x, y = bunch.data.astype(np.float32)[order], bunch.target.astype(np.int64)[order]
    return TrainTestData(
        "digits",
        x[DIGITS_TEST_SIZE:],
        y[DIGITS_TEST_SIZE:],
        x[:DIGITS_TEST_SIZE],
        y[:DIGITS_TEST_SIZE],
        _numbered(10),
        scale=16.0,
    )


def mnist(folder: Path | None = None) -> TrainTestData:
    """28 x 28 handwritten digits (LeCun et al. 1998), 60,000 and 10,000, IDX files."""
    return _idx_source("mnist", (".", "mnist/raw", "mnist"), folder)


def fashion_mnist(folder: Path | None = None) -> TrainTestData:
    """28 x 28 pictures of clothes (Xiao et al. 2017), 60,000 and 10,000, IDX files.

    Labels are the class numbers: T-shirt, trousers, pullover, dress, coat, sandal, shirt, sneaker,
    bag, boot.
    """
    return _idx_source("fashion-mnist", ("fashion-mnist/raw", "fashion-mnist"), folder)


def cifar10(folder: Path | None = None) -> TrainTestData:
    """3 x 32 x 32 photographs (Krizhevsky 2009), 50,000 and 10,000, kept as bytes."""
    found = data_folder("cifar10", ("cifar-10-batches-py",), (cifar.META,), folder)
    train = cifar.read_cifar(found, cifar.TRAIN_BATCHES)
    test = cifar.read_cifar(found, (cifar.TEST_BATCH,))
    return _source("cifar10", found, train, test, cifar.label_names(found), 255.0)


def femnist(folder: Path | None = None) -> TrainTestData:
    """28 x 28 handwritten characters by writer (Caldas et al. 2018), values from 0 to 1.

    `femnist/train` and `femnist/test` (or both under `femnist/data`) hold LEAF's JSON, made with
    its option `-t sample`, so that each writer is in both.
    """
    return _leaf_source("femnist", _numbered(FEMNIST_CLASSES), folder)


def leaf_shakespeare(folder: Path | None = None) -> TrainTestData:
    """Shakespeare by role as LEAF cuts it: 80 characters and the one that follows, as codes.

    `leaf-shakespeare/train` and `/test` (or both under `leaf-shakespeare/data`) hold its JSON.
    """
    return _leaf_source("leaf-shakespeare", speeches.LABELS, folder)


def shakespeare(
    folder: Path | None = None,
    window: int = speeches.WINDOW,
    stride: int = speeches.STRIDE,
) -> TrainTestData:
    """Excerpts of the plays (Karpathy 2015) by role: `window` characters and the next, as codes.

    The first 80 % of each role's text are for training; no window crosses the cut.
    """
    file = "tinyshakespeare.txt"
    path = data_folder("shakespeare", ("shakespeare",), (file,), folder) / file
    roles = speeches.read_roles(path)
    cuts = {name: round(ROLE_TRAIN_SHARE * len(text)) for name, text in roles.items()}
    first = {name: text[: cuts[name]] for name, text in roles.items()}
    rest = {name: text[cuts[name] :] for name, text in roles.items()}
    train = speeches.windows(path, first, window, stride)
    test = speeches.windows(path, rest, window, stride)
    return _source("shakespeare", path, train, test, speeches.LABELS, 1.0)


def cmapss_fd001(
    folder: Path | None = None, window: int = cmapss.WINDOW, stride: int = 1
) -> TrainTestData:
    """Turbofan engines until failure (Saxena et al. 2008): cycles left after `window` cycles.

    Test: the last window of each test engine. Errors are counted in units of the cap, 125 cycles.
    """
    found = data_folder("cmapss-fd001", ("cmapss",), ("train_FD001.txt",), folder)
    train = cmapss.read_run_to_failure(found / "train_FD001.txt", window, stride)
    test = cmapss.read_last_windows(found / "test_FD001.txt", found / "RUL_FD001.txt", window)
    output = RegressionOutput(column="remaining cycles", scale=cmapss.CAP, cap=cmapss.CAP)
    return _source(
        "cmapss-fd001", found, train, test, (), 1.0, output, public=cmapss.public_groups()
    )


def texts(name: str) -> TrainTestData:
    """A collection of `fedpact.data.text_collections` (docs/texts.md); examples are documents."""
    try:
        found = COLLECTIONS[name]()
    except DataMissing as error:
        raise DataMissing(f"{name}: {error}") from error
    return TrainTestData(
        name,
        documents(found.train),
        found.y_train,
        documents(found.test),
        found.y_test,
        found.labels,
        scale=1.0,
    )


SOURCES: dict[str, Callable[[int], TrainTestData]] = {
    "digits": digits,
    "mnist": lambda seed: mnist(),
    "fashion-mnist": lambda seed: fashion_mnist(),
    "cifar10": lambda seed: cifar10(),
    "femnist": lambda seed: femnist(),
    "shakespeare": lambda seed: shakespeare(),
    "leaf-shakespeare": lambda seed: leaf_shakespeare(),
    "cmapss-fd001": lambda seed: cmapss_fd001(),
    "20newsgroups": lambda seed: texts("20newsgroups"),
    "20newsgroups-bodies": lambda seed: texts("20newsgroups-bodies"),
    "r8": lambda seed: texts("r8"),
}
"""The seed splits data sets without a published test part (digits)."""


def load(name: str, seed: int = 0) -> TrainTestData:
    """The data set of that name.

    Raises DataError for an unknown name, DataMissing if its files are missing.
    """
    if name not in SOURCES:
        raise DataError(f"no data set {name!r}; there are {', '.join(sorted(SOURCES))}")
    return SOURCES[name](seed)


def _idx_source(name: str, candidates: Sequence[str], folder: Path | None) -> TrainTestData:
    images = idx.IMAGES.format("train")
    found = data_folder(name, candidates, (images, f"{images}.gz"), folder)
    train, test = idx.read_idx_pair(found, "train"), idx.read_idx_pair(found, "t10k")
    return _source(name, found, train, test, _numbered(10), 255.0)


def _leaf_source(name: str, labels: tuple[str, ...], folder: Path | None) -> TrainTestData:
    found = data_folder(name, (f"{name}/data", name), ("train",), folder)
    train = leaf.read_leaf(_json_files(found / "train"))
    test = leaf.read_leaf(_json_files(found / "test"))
    return _source(name, found, train, test, labels, 1.0)


def _source(
    name: str,
    path: Path,
    train: Records,
    test: Records,
    labels: tuple[str, ...],
    scale: float,
    output: RegressionOutput | None = None,
    public: Sequence[str] = (),
) -> TrainTestData:
    """Check and combine both parts; groups are numbered by first appearance."""
    for part in (train, test):
        row = first_not_finite(part.x)
        if row is not None:
            raise DataError(f"{name}: {path}: example {row + 1} has a value that is not finite")
    if train.x.shape[1:] != test.x.shape[1:]:
        raise DataError(
            f"{name}: {path}: training examples have shape {train.x.shape[1:]}, test examples "
            f"{test.x.shape[1:]}"
        )
    y_train, y_test = (_targets(path, part.labels, labels) for part in (train, test))
    group_names = tuple(dict.fromkeys(train.groups))
    index = {group: number for number, group in enumerate(group_names)}
    groups = np.array([index[group] for group in train.groups], dtype=np.int64)
    return TrainTestData(
        name,
        train.x,
        y_train,
        test.x,
        y_test,
        labels,
        scale,
        output,
        groups if train.groups else None,
        group_names,
        train.grouped_units,
        tuple(number for number, group in enumerate(group_names) if group in public),
    )


def _targets(path: Path, labels: tuple[str, ...], known: tuple[str, ...]) -> NDArray[Any]:
    if known:
        return label_indices(path, labels, known)
    return np.array([float(value) for value in labels], dtype=np.float32)


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


def _json_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.json"))
    if not files:
        raise DataMissing(f"data {folder}: it has no .json files")
    return files
