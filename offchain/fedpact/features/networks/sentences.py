"""Features of texts from a frozen public network."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedpact.features.cache import BATCH, kept_rows, text_key
from fedpact.features.networks.pinned import MINILM, TOKENIZER_DIGEST, check_pinned, tokenizer_file
from fedpact.features.networks.session import FrozenSession, on_all_cores

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WIDTH = 384
TOKENS = 256
"""Read of a text; the rest of it is left out."""
CHARACTERS = 8_000
"""Read of a text before it is cut into tokens."""
VERSION = "minilm-1"
"""Part of each file's key; changes whenever the features' values do."""


def sentence_features(texts: Sequence[str], folder: Path | None = None) -> NDArray[np.float16]:
    """Rows (n, WIDTH) of texts, of norm 1: the mean of the network's last layer over the text's
    first TOKENS tokens. A row depends on its text alone; it is of zeros where the network's output
    is not finite.

    Args:
        folder: keeps the rows on disk, see `kept_rows`.

    Raises DataMissing without the extra `sentences`.
    """

    def rows(start: int) -> NDArray[np.float16]:
        network, tokenizer = _network(), _tokenizer()
        part = list(texts[start : start + BATCH])
        found = on_all_cores(lambda text: _row(network, tokenizer, text), part)
        return np.stack(found).astype(np.float16)

    if folder is None:
        batches = [rows(start) for start in range(0, len(texts), BATCH)]
        return np.concatenate(batches) if batches else np.empty((0, WIDTH), np.float16)
    key = text_key(f"{VERSION}:{MINILM.digest}:{TOKENIZER_DIGEST}", texts)
    return kept_rows(key, (len(texts), WIDTH), rows, folder)


def _row(network: FrozenSession, tokenizer: "Tokenizer", text: str) -> NDArray[np.float32]:
    # Half of a surrogate pair is no character that a tokenizer takes.
    readable = text[:CHARACTERS].encode("utf-8", "replace").decode()
    tokens = np.array([tokenizer.encode(readable).ids], np.int64)
    found = network.run(tokens)
    with np.errstate(all="ignore"):
        row = found / np.float32(np.sqrt(np.square(found, dtype=np.float64).sum()))
    return row if np.isfinite(row).all() else np.zeros_like(row)


@cache
def _network() -> FrozenSession:
    check_pinned(MINILM, MINILM.name, MINILM.digest)
    from fedpact.features.networks.minilm import minilm

    return FrozenSession(minilm(MINILM.load(), TOKENS))


@cache
def _tokenizer() -> "Tokenizer":
    from tokenizers import Tokenizer

    found = Tokenizer.from_str(tokenizer_file())
    found.no_padding()
    found.enable_truncation(TOKENS)
    return found
