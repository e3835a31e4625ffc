"""What one side of an exchange tells the other: which messages it holds, and some that the other
lacks. So no message is sent twice, and a board of any length takes as many exchanges as it needs.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from fedpact.exchange.messages import MOST, WORD_BYTES, Message
from fedpact.exchange.version import Versioned

AT_ONCE = 128
"""Messages that one side gives the other, at most."""
FULL_BOARD = -(-2 * MOST // AT_ONCE)
"""Exchanges that a full board takes: two messages of each place."""
LONGEST = 1 << 18
"""Bytes of the longest: `AT_ONCE` messages of wallets, and the words of a full board."""
_DIGITS = 2 * WORD_BYTES


class Sending(Versioned):
    """Both ways."""

    what: ClassVar[str] = "messages of a round"
    longest: ClassVar[int] = LONGEST
    known: Annotated[
        str, Field(max_length=2 * MOST * _DIGITS, pattern=rf"^([0-9a-f]{{{_DIGITS}}})*$")
    ] = ""
    """The words of all that is held, as hex."""
    messages: Annotated[tuple[Message, ...], Field(max_length=AT_ONCE)] = ()

    @classmethod
    def of(cls, words: Iterable[bytes], given: Sequence[Message]) -> Sending:
        """With as many messages as fit. Of too many any: one that the other side does not take
        keeps no other from it."""
        if len(given) > AT_ONCE:
            given = random.sample(given, AT_ONCE)
        return cls(known=b"".join(sorted(words)).hex(), messages=tuple(given))

    @property
    def words(self) -> frozenset[bytes]:
        every = bytes.fromhex(self.known)
        return frozenset(every[at : at + WORD_BYTES] for at in range(0, len(every), WORD_BYTES))
