"""Texts as sequences of 64-bit term hashes, without a loop over terms.

A term is a run of letters and digits, lower-cased, of 2 to 40 bytes of UTF-8; every character
outside ASCII counts as a letter. All texts are joined in one buffer; runs are found by comparing
neighbours, and all hashed together, byte by byte (FNV-1a's step, Fowler, Noll &
Vo; splitmix64's finish, Steele et al. 2014, so that the high bits are as good as any).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHORTEST, LONGEST = 2, 40
"""Bytes of a term; shorter and longer runs are dropped."""
_PRIME = np.uint64(0x100000001B3)
_BASIS = np.uint64(0xCBF29CE484222325)
_PAIR = np.uint64(0x9E3779B97F4A7C15)


def _letter_table() -> NDArray[np.bool_]:
    table = np.zeros(256, dtype=bool)
    table[[byte for byte in range(128) if chr(byte).isalnum()]] = True
    table[128:] = True  # parts of characters outside ASCII
    return table


_LETTER = _letter_table()


@dataclass(frozen=True)
class Tokens:
    """The terms of some texts, in their order."""

    hashes: NDArray[np.uint64]
    """Shape (m,)."""
    documents: NDArray[np.int64]
    """Shape (m,): index of each term's text, ascending."""
    texts: int
    """Number of texts, including empty ones."""
    buffer: bytes
    """All texts, lower-cased UTF-8."""
    starts: NDArray[np.int64]
    """Shape (m,): start of each term in the buffer."""
    ends: NDArray[np.int64]

    def word(self, index: int) -> str:
        """The term at `index`, in writing."""
        return self.buffer[int(self.starts[index]) : int(self.ends[index])].decode(
            "utf-8", "surrogatepass"
        )


def tokenise(texts: Sequence[str]) -> Tokens:
    """The terms of `texts`; takes any string, also empty ones and control characters."""
    encoded = [text.lower().encode("utf-8", "surrogatepass") for text in texts]
    buffer = b"\n".join(encoded) + b"\n"
    letters = np.frombuffer(buffer, dtype=np.uint8)
    inside = _LETTER[letters]
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    if inside[0]:
        edges = np.concatenate(([0], edges))
    starts, ends = edges[::2], edges[1::2]
    kept = (ends - starts >= SHORTEST) & (ends - starts <= LONGEST)
    starts, ends = starts[kept], ends[kept]
    limits = np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)) + 1)
    return Tokens(
        _hash(letters, starts, ends),
        np.searchsorted(limits, starts, side="right").astype(np.int64),
        len(encoded),
        buffer,
        starts.astype(np.int64),
        ends.astype(np.int64),
    )


def pairs(tokens: Tokens) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes and texts of the pairs of neighbouring terms (2-grams) of each text."""
    same = tokens.documents[1:] == tokens.documents[:-1]
    joined = _finish((tokens.hashes[:-1] * _PAIR) ^ tokens.hashes[1:])
    return joined[same], tokens.documents[1:][same]


def term_hashes(words: Sequence[str]) -> NDArray[np.uint64]:
    """Hash of each word that is one term; 0 for one that is none or several."""
    found = tokenise(words)
    single = np.bincount(found.documents, minlength=len(words)) == 1
    hashes = np.zeros(len(words), dtype=np.uint64)
    kept = single[found.documents]
    hashes[found.documents[kept]] = found.hashes[kept]
    return hashes


def _hash(
    letters: NDArray[np.uint8], starts: NDArray[np.intp], ends: NDArray[np.intp]
) -> NDArray[np.uint64]:
    hashes = np.full(len(starts), _BASIS)
    longer = np.arange(len(starts))
    for index in range(LONGEST):
        hashes[longer] = (hashes[longer] ^ letters[starts[longer] + index]) * _PRIME
        longer = longer[ends[longer] - starts[longer] > index + 1]
        if not len(longer):
            break
    return _finish(hashes)


def _finish(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)
