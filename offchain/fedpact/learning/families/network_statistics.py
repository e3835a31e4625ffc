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
from fedpact.errors import SpecificationError
from fedpact.features.networks.allowed import MAX_TOKENS, TextForm
from fedpact.features.networks.pinned import MINILM
from fedpact.features.networks.sentences import MAX_WINDOWS, TOKENS, WIDTH, sentence_features
from fedpact.learning.discriminant import Constants
from fedpact.learning.families.frozen_network import OnNetwork, OnNetworkParameters
from fedpact.learning.families.text_statistics import ClassSums, ClassSumsParameters
from fedpact.types.specification import Specification


class NetworkStatisticsParameters(OnNetworkParameters, ClassSumsParameters):
    """`tokens`: that the network takes at once. `windows`: most windows of so many tokens that are
    read of a text, for up to so many times the time."""

    tokens: Annotated[int, Field(ge=3, le=MAX_TOKENS)] = TOKENS
    windows: Annotated[int, Field(ge=1, le=MAX_WINDOWS)] = 1
    dense_weight: Annotated[float, Field(ge=1e-3, le=1e3)] = 1.6


class NetworkStatistics(
    OnNetwork[NetworkStatisticsParameters], ClassSums[NetworkStatisticsParameters]
):
    name = "network-statistics"
    schema = NetworkStatisticsParameters
    pinned = MINILM
    own_width = WIDTH
    constants = Constants(dense_sharpness=0.3, noised_dense_sharpness=1.8)
    """Chosen on held-out training posts (every fifth) of 20 Newsgroups at epsilon 1, 2 and 5."""

    def check(self, spec: Specification) -> None:
        super().check(spec)
        asked = self.parameters(spec)
        if self.named(spec) is None and asked.tokens != TOKENS:
            raise SpecificationError(
                f"family {self.name}: {asked.network} takes {TOKENS} tokens, not {asked.tokens}"
            )

    def form(self, spec: Specification) -> TextForm:
        asked = self.parameters(spec)
        return TextForm(asked.tokens, asked.width)

    def represented(self, spec: Specification, x: Inputs, folder: Path | None = None) -> Inputs:
        """Documents with their network's rows, see `with_rows`."""
        if x.dtype.names is not None:
            return x
        texts, windows = x.tolist(), self.parameters(spec).windows
        return with_rows(texts, sentence_features(texts, folder, windows, self.named(spec)))

    def texts(self, x: Inputs) -> list[str]:
        return list((x if x.dtype.names is None else x["text"]).tolist())

    def dense_width(self, spec: Specification) -> int:
        return self.row_width(spec)

    def dense_rows(self, spec: Specification, x: Inputs) -> NDArray[np.float32]:
        """Rows scaled to norm 1, which 16 bits may exceed; a row of zeros stays one."""
        rows = self.represented(spec, x)["row"]
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        return np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def with_rows(texts: Sequence[str], rows: NDArray[np.float16]) -> NDArray[np.void]:
    """Records (n,) of `text` and `row`, a document and its network's features."""
    form = [("text", object), ("row", np.float16, rows.shape[1:])]
    found = np.empty(len(texts), dtype=form)
    found["text"], found["row"] = texts, rows
    return found
