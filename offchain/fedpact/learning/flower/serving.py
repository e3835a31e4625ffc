"""Records for an app: where the apps of Flower's documentation look for theirs."""

import sys
from types import ModuleType
from typing import Any

import numpy as np

from fedpact.errors import InvalidInput
from fedpact.learning.flower.jobs import AppRecords

DATA_FILE = "records.npz"
"""In the app's working folder, and named by `data-path` of its node's settings: x (n, *shape), y
(n,), columns."""
_served: list[AppRecords] = []


def stand_in() -> None:
    """Take the place of the package flwr_datasets, before the app imports it: the quickstarts ask
    it for a partition of a public data set, and get the provider's records."""
    package, partitioner = ModuleType("flwr_datasets"), ModuleType("flwr_datasets.partitioner")
    vars(package).update(__path__=[], __getattr__=_federated, partitioner=partitioner)
    vars(partitioner)["__getattr__"] = _partitioner
    sys.modules["flwr_datasets"] = package
    sys.modules["flwr_datasets.partitioner"] = partitioner


def _federated(name: str) -> type:
    if name != "FederatedDataset":
        raise AttributeError(name)
    import datasets  # noqa: F401 - now, once, and not in each fork

    return FederatedDataset


def _partitioner(name: str) -> type:
    if not name.endswith("Partitioner"):
        raise AttributeError(name)
    return Partitioner


def serve_records(records: AppRecords) -> None:
    """Let the app find these records: in DATA_FILE, and as the only partition of each data set."""
    np.savez(DATA_FILE, x=records.x, y=records.y, columns=np.array(records.columns, dtype=str))
    _served[:] = [records]


class Partitioner:
    """Of any kind: there is one partition."""

    def __init__(self, *args: Any, **named: Any) -> None:
        """Whatever an app says of partitions."""


class FederatedDataset:
    """Has one partition, whatever data set, split and number an app names: the records."""

    def __init__(self, *args: Any, **named: Any) -> None:
        """Whatever an app says of a data set."""

    def load_partition(self, *args: Any, **named: Any) -> Any:
        """The records as a `datasets.Dataset`."""
        return self.load_split()

    def load_split(self, *args: Any, **named: Any) -> Any:
        """The records as a `datasets.Dataset`."""
        from datasets import Dataset, Image

        if not _served:
            raise InvalidInput("an app gets records with a message, not before")
        one = _served[0]
        columns: dict[str, Any] = {
            name: one.x[:, index] for index, name in enumerate(one.columns)
        } or {one.inputs: _pictures(one.x) if one.pictures else one.x.tolist()}
        found = Dataset.from_dict({**columns, one.label: one.y})
        return found.cast_column(one.inputs, Image()) if one.pictures else found


def _pictures(x: Any) -> list[Any]:
    """Of (n, height, width) or (n, channels, height, width), values from 0 to 255."""
    from PIL import Image

    values = np.clip(np.rint(x), 0, 255).astype(np.uint8)
    if values.ndim == 4:
        values = values[:, 0] if values.shape[1] == 1 else values.transpose(0, 2, 3, 1)
    return [Image.fromarray(one) for one in values]
