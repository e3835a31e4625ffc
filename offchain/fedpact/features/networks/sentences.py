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
from fedpact.types.columns import SENTENCE_WIDTH

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WIDTH = SENTENCE_WIDTH
TOKENS = 256
"""In one window of a text; what comes after the last window is left out."""
MAX_WINDOWS = 8
CHARACTERS = 8_000
"""Read of a text before it is cut into tokens."""
VERSION = "minilm-1"
"""Part of each file's key; changes whenever the features' values do."""


def sentence_features(
    texts: Sequence[str], folder: Path | None = None, windows: int = 1
) -> NDArray[np.float16]:
    """Rows (n, WIDTH) of texts, of norm 1: the mean of the network's last layer over the tokens of
    the text's first windows. A row depends on its text alone; it is of zeros where the network's
    output is not finite.

    Args:
        windows: most windows of TOKENS tokens that are read of a text, each by itself; a longer
            text takes longer.
        folder: keeps the rows on disk, see `kept_rows`.

    Raises DataMissing without the extra `sentences`.
    """

    def rows(start: int) -> NDArray[np.float16]:
        network, tokenizer = _network(), _tokenizer()
        part = list(texts[start : start + BATCH])
        found = on_all_cores(lambda text: _row(network, tokenizer, text, windows), part)
        return np.stack(found).astype(np.float16)

    if folder is None:
        batches = [rows(start) for start in range(0, len(texts), BATCH)]
        return np.concatenate(batches) if batches else np.empty((0, WIDTH), np.float16)
    version = f"{VERSION}:{MINILM.digest}:{TOKENIZER_DIGEST}" + (windows > 1) * f":{windows}"
    key = text_key(version, texts)
    return kept_rows(key, (len(texts), WIDTH), rows, folder)


def _row(
    network: FrozenSession, tokenizer: "Tokenizer", text: str, windows: int
) -> NDArray[np.float32]:
    # Half of a surrogate pair is no character that a tokenizer takes.
    readable = text[:CHARACTERS].encode("utf-8", "replace").decode()
    first = tokenizer.encode(readable)
    read = [np.array([one.ids], np.int64) for one in (first, *first.overflowing)][:windows]
    with np.errstate(all="ignore"):
        found = network.run(read[0])
        if len(read) > 1:
            found = found * np.float32(read[0].size)
            for tokens in read[1:]:
                found += network.run(tokens) * np.float32(tokens.size)
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
