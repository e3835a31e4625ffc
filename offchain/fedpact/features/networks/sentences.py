"""Features of texts from a frozen public network."""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedpact.features.cache import in_batches, kept_rows, text_digests
from fedpact.features.networks.allowed import TextForm
from fedpact.features.networks.named import NamedNetwork
from fedpact.features.networks.pinned import MINILM, TOKENIZER_DIGEST, check_pinned, tokenizer_file
from fedpact.features.networks.session import FrozenSession, on_all_cores
from fedpact.features.networks.vocabulary import Vocabulary
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

_Run = Callable[[NDArray[np.int64]], NDArray[np.float32]]


def sentence_features(
    texts: Sequence[str],
    folder: Path | None = None,
    windows: int = 1,
    named: NamedNetwork | None = None,
) -> NDArray[np.float16]:
    """Rows (n, d) of texts, of norm 1: what the network gives for the text's first windows, their
    mean by tokens. A row depends on its text alone; it is of zeros where the network's output is
    not finite.

    Args:
        windows: most windows (of TOKENS tokens, or of the named network's) that are read of a text,
            each by itself; a longer text takes longer.
        folder: keeps the rows on disk, see `kept_rows`.
        named: the network; None: MiniLM, its last layer averaged over the tokens, d = WIDTH.

    Raises DataMissing without the extra `sentences` or the named network's file.
    """
    width = WIDTH if named is None else named.form.width

    def rows(at: NDArray[np.int64]) -> NDArray[np.float16]:
        run, tokenizer = _reader(named)
        part = [texts[place] for place in at]
        found = on_all_cores(lambda text: _row(run, tokenizer, text, windows, width), part)
        return np.stack(found).astype(np.float16)

    if folder is None:
        return in_batches(rows, len(texts), width)
    digests = f"{MINILM.digest}:{TOKENIZER_DIGEST}" if named is None else named.digest
    version = f"{VERSION}:{digests}" + (windows > 1) * f":{windows}"
    return kept_rows(version, text_digests(texts), width, rows, folder)


def _row(
    run: _Run, tokenizer: "Tokenizer", text: str, windows: int, width: int
) -> NDArray[np.float32]:
    # Half of a surrogate pair is no character that a tokenizer takes.
    readable = text[:CHARACTERS].encode("utf-8", "replace").decode()
    try:
        first = tokenizer.encode(readable)
        read = [np.array([one.ids], np.int64) for one in (first, *first.overflowing)][:windows]
        found = run(read[0])
        with np.errstate(all="ignore"):
            if len(read) > 1:
                found = found * np.float32(read[0].size)
                for tokens in read[1:]:
                    found += run(tokens) * np.float32(tokens.size)
            row = found / np.float32(np.sqrt(np.square(found, dtype=np.float64).sum()))
    except Exception:  # noqa: BLE001 - one text must never stop the others
        return np.zeros(width, np.float32)
    return row if np.isfinite(row).all() else np.zeros_like(row)


def _reader(named: NamedNetwork | None) -> "tuple[_Run, Tokenizer]":
    """From a window's tokens, (1, n), to what the network gives, (d,); and what finds them."""
    if named is None:
        return _network().run, _tokenizer()
    session, form = named.session(), named.form
    assert isinstance(form, TextForm)
    vocabulary, tokenizer = _words(session, form.tokens)
    return lambda found: session.run(*vocabulary.filled(found, form.tokens)), tokenizer


@lru_cache(maxsize=4)
def _words(session: FrozenSession, tokens: int) -> "tuple[Vocabulary, Tokenizer]":
    found = session.vocabulary
    return found, found.tokenizer(tokens)


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
