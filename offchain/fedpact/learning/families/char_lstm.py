"""The next character of a text (McMahan et al. 2017, section 3): embedding, LSTM, dense layer.

An example is a window of characters as indices into the labels; its label is the one that follows.
"""

import math
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from fedpact.data.dataset import Inputs, Targets
from fedpact.errors import DataError, SpecificationError
from fedpact.learning.families.torch_family import TorchFamily
from fedpact.types.document import Document
from fedpact.types.specification import Specification


class CharLSTMParameters(Document):
    """The defaults are those of McMahan et al."""

    embedding: Annotated[int, Field(ge=1, le=4096)] = 8
    hidden: Annotated[int, Field(ge=1, le=4096)] = 256
    layers: Annotated[int, Field(ge=1, le=4)] = 2


class CharLSTM(TorchFamily[CharLSTMParameters]):
    """Characters outside the alphabet count as its nearest end."""

    name = "char-lstm"
    tasks = frozenset({"classification"})
    unit = "a speaker: all windows of one role"
    sound = True
    balanced = False  # letters are not equally frequent in a language
    schema = CharLSTMParameters

    def check(self, spec: Specification) -> None:
        super().check(spec)
        if len(spec.features.shape) != 1 or spec.features.scale != 1:
            raise SpecificationError(
                "family char-lstm: examples are windows of indices, shape (characters,), scale 1; "
                f"not {spec.features.shape}, scale {spec.features.scale:g}"
            )

    def usable(self, spec: Specification, x: Inputs, y: Targets) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = super().usable(spec, x, y) & _known(spec, x).all(axis=1)
        return known

    def check_examples(self, spec: Specification, x: NDArray[np.float32]) -> None:
        known = _known(spec, x)
        if not known.all():
            index = np.argwhere(~known)[0].tolist()
            raise DataError(
                f"example {index[0] + 1} has {x[tuple(index)]:g} at character {index[1] + 1}: an "
                f"index from 0 to {spec.outputs - 1} is needed"
            )

    def module(self, spec: Specification) -> nn.Module:
        asked = self.parameters(spec)
        return CharacterNetwork(spec.outputs, asked.embedding, asked.hidden, asked.layers)

    def spread(self, spec: Specification, name: str, shapes: dict[str, tuple[int, ...]]) -> float:
        """1 / sqrt(hidden units), torch's own choice; sqrt(3) for the embedding: variance 1."""
        return math.sqrt(3) if name == "embedding.weight" else self.parameters(spec).hidden ** -0.5


def _known(spec: Specification, x: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which values are indices of characters, (n, characters)."""
    known: NDArray[np.bool_] = (x == np.rint(x)) & (x >= 0) & (x < spec.outputs)
    return known


class CharacterNetwork(nn.Module):
    """Logits (n, alphabet) of windows (n, characters) of indices, as floats."""

    def __init__(self, alphabet: int, embedding: int, hidden: int, layers: int) -> None:
        super().__init__()
        # Drawing normal values on the device "meta" imports torch's compiler: a second a process.
        values = torch.empty(alphabet, embedding)
        self.embedding = nn.Embedding(alphabet, embedding, _weight=values)
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.output = nn.Linear(hidden, alphabet)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        indices = torch.nan_to_num(x).clamp(0, self.embedding.num_embeddings - 1).long()
        states, _ = self.lstm(self.embedding(indices).to(self.output.weight.dtype))
        found: torch.Tensor = self.output(states[:, -1])
        return found
