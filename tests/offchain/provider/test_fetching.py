"""Content that may be nowhere, looked for beside the cycle."""

import threading
from typing import Any

import pytest

from fedpact.errors import ContentMissing
from fedpact.provider import fetching
from fedpact.provider.fetching import Fetching
from fedpact.types.cid import Cid

NOWHERE, HERE, HUNG = (Cid.of(name) for name in (b"nowhere", b"here", b"hung"))


class Slow:
    """Says what it is asked for; one item holds it up until it is let go."""

    def __init__(self) -> None:
        self.asked: list[Cid] = []
        self.go = threading.Event()

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        self.asked.append(cid)
        if cid == HUNG:
            self.go.wait(20)
        if cid != HERE:
            raise ContentMissing("nowhere")
        return b"here"

    def another(self) -> "Slow":
        return self

    def close(self) -> None:
        """Nothing is open."""


def test_what_was_missing_waits_behind_what_was_never_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Content that nobody has is looked for again and again, half a minute each time on an IPFS
    node: others' content must not queue behind it."""
    monkeypatch.setattr(fetching, "AT_ONCE", 1)
    store: Any = Slow()
    found = Fetching(store, 5.0)
    with pytest.raises(ContentMissing):
        found.has_come(NOWHERE, 10)
    for cid in (HUNG, NOWHERE, HERE):
        found.begin(cid, 10)
    store.go.set()
    assert found.has_come(HERE, 10)
    with pytest.raises(ContentMissing):
        found.has_come(NOWHERE, 10)
    assert store.asked == [NOWHERE, HUNG, HERE, NOWHERE]
    found.close()
