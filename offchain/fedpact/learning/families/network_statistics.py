"""Class sums of words and of a frozen public network's rows (`features.networks.sentences`).

What the network was trained on is public, and no promise of privacy covers it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fedpact.data.dataset import Inputs
from fedpact.features.networks.pinned import MINILM, check_pinned
from fedpact.features.networks.sentences import MAX_WINDOWS, WIDTH, sentence_features
from fedpact.learning.discriminant import Constants
from fedpact.learning.families.text_statistics import ClassSums, ClassSumsParameters
from fedpact.types.specification import Specification

_WITH_ROW = np.dtype([("text", object), ("row", np.float16, (WIDTH,))])


class NetworkStatisticsParameters(ClassSumsParameters):
    """`network` and `digest`: the name and the weights' hex sha-256. `windows`: most windows of 256
    tokens that are read of a text, for up to so many times the time."""

    network: str
    digest: str
    windows: Annotated[int, Field(ge=1, le=MAX_WINDOWS)] = 1
    dense_weight: Annotated[float, Field(ge=1e-3, le=1e3)] = 1.6


class NetworkStatistics(ClassSums[NetworkStatisticsParameters]):
    name = "network-statistics"
    schema = NetworkStatisticsParameters
    constants = Constants(dense_sharpness=0.3, noised_dense_sharpness=1.8)
    """Chosen on held-out training posts (every fifth) of 20 Newsgroups at epsilon 1, 2 and 5."""

    def check(self, spec: Specification) -> None:
        super().check(spec)
        asked = self.parameters(spec)
        check_pinned(MINILM, asked.network, asked.digest)

    def network(self, spec: Specification) -> tuple[str, str]:
        asked = self.parameters(spec)
        return asked.network, asked.digest

    def uncovered(self, spec: Specification) -> str:
        return MINILM.statement

    def represented(self, spec: Specification, x: Inputs, folder: Path | None = None) -> Inputs:
        """Documents with their network's rows, see `with_rows`."""
        if x.dtype.names is not None:
            return x
        texts, windows = x.tolist(), self.parameters(spec).windows
        return with_rows(texts, sentence_features(texts, folder if len(x) else None, windows))

    def texts(self, x: Inputs) -> list[str]:
        return list((x if x.dtype.names is None else x["text"]).tolist())

    def dense_width(self, spec: Specification) -> int:
        return WIDTH

    def dense_rows(self, spec: Specification, x: Inputs) -> NDArray[np.float32]:
        """Rows scaled to norm 1, which 16 bits may exceed; a row of zeros stays one."""
        rows = self.represented(spec, x)["row"]
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        return np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def with_rows(texts: Sequence[str], rows: NDArray[np.float16]) -> NDArray[np.void]:
    """Records (n,) of `text` and `row`, a document and its network's features."""
    found = np.empty(len(texts), dtype=_WITH_ROW)
    found["text"], found["row"] = texts, rows
    return found
