"""A small transformer over the words of a text (Vaswani et al. 2017), learnt from nothing."""

import re
import zlib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from fedpact import Document, Specification, TorchFamily
from fedpact.errors import SpecificationError

WORD = re.compile(r"[^\W_]+")
"""Letters and digits, of any script."""
NOTHING = 0
"""In the place of a word where a text has ended."""


class TextTransformerParameters(Document):
    """What a draft may say in `family.parameters`."""

    words: Annotated[int, Field(ge=1, le=1024)] = 64
    """Of each text, from its start; the rest is not read."""
    bits: Annotated[int, Field(ge=6, le=16)] = 11
    """2^bits buckets of hashed words."""
    width: Annotated[int, Field(ge=2, le=512)] = 16
    """Of a word's vector; divided by `heads`."""
    heads: Annotated[int, Field(ge=1, le=16)] = 2
    layers: Annotated[int, Field(ge=1, le=6)] = 1


class TextTransformer(TorchFamily[TextTransformerParameters]):
    """A text becomes the buckets of its first words: nothing is fitted to private texts."""

    name = "text-transformer"
    tasks = frozenset({"classification"})
    unit = "a document"
    sound = True  # attention is between the words of one text; normalisation is of one word
    inputs = frozenset({"text"})
    schema = TextTransformerParameters

    def check(self, spec: Specification) -> None:
        asked = self.parameters(spec)
        if asked.width % asked.heads:
            raise SpecificationError(
                f"family text-transformer: {asked.heads} heads do not divide width {asked.width}"
            )
        super().check(spec)  # builds the network

    def represented(
        self, spec: Specification, x: NDArray[Any], folder: Path | None = None
    ) -> NDArray[Any]:
        """Buckets from 1, (n, words) float32; NOTHING after a text's end."""
        if x.dtype != object:
            return x
        asked = self.parameters(spec)
        found = np.full((len(x), asked.words), NOTHING, dtype=np.float32)
        for row, text in enumerate(x):
            for place, match in zip(range(asked.words), WORD.finditer(text), strict=False):
                found[row, place] = 1 + bucket(match.group().casefold(), asked.bits)
        return found

    def module(self, spec: Specification) -> nn.Module:
        asked = self.parameters(spec)
        return Network(asked, spec.outputs)


def bucket(word: str, bits: int) -> int:
    """The same on every machine: the high bits of the word's CRC-32."""
    return zlib.crc32(word.encode("utf-8", "surrogatepass")) >> (32 - bits)


class Network(nn.Module):
    """Logits (n, labels) of buckets (n, words), as floats."""

    def __init__(self, asked: TextTransformerParameters, outputs: int) -> None:
        super().__init__()
        self.buckets = 1 << asked.bits
        # nn.Embedding would draw normal values, which on the device "meta" takes a second.
        self.embedding = nn.Embedding(
            self.buckets, asked.width, _weight=torch.empty(self.buckets, asked.width)
        )
        self.places = nn.Embedding(
            asked.words, asked.width, _weight=torch.empty(asked.words, asked.width)
        )
        self.layers = nn.ModuleList(Layer(asked.width, asked.heads) for _ in range(asked.layers))
        self.output = nn.Linear(asked.width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = torch.nan_to_num(x, nan=NOTHING).clamp(NOTHING, self.buckets).long()
        present = found != NOTHING  # (n, words)
        vectors = self.embedding((found - 1).clamp(min=0)) + self.places.weight
        a = vectors.to(self.output.weight.dtype)  # (n, words, width)
        for layer in self.layers:
            a = layer(a, present)
        weights = present.to(a.dtype)[:, :, None]
        # Over the words that are there; a text without one counts as zeros.
        mean = (a * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
        logits: torch.Tensor = self.output(mean)
        return logits


class Layer(nn.Module):
    """Attention between the words of a text, then a dense network for each word."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.asked = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.wide = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        count, words, width = x.shape
        split = (count, words, self.heads, width // self.heads)
        query, key, value = (
            one.reshape(split).transpose(1, 2)  # (n, heads, words, width of a head)
            for one in self.asked(_normalised(x)).chunk(3, dim=2)
        )
        likeness = query @ key.transpose(2, 3) / (width // self.heads) ** 0.5
        # A finite number: of a text without words no share may be 0 / 0.
        likeness = likeness.masked_fill(~present[:, None, None, :], -1e4)
        seen = (likeness.softmax(dim=3) @ value).transpose(1, 2).reshape(x.shape)
        x = x + self.attended(seen)
        return x + self.narrow(torch.relu(self.wide(_normalised(x))))


def _normalised(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.layer_norm(x, x.shape[-1:])
