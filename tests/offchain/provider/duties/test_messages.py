"""Where a member's daemon finds those of the others."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.fetching import Fetching
from fedpact.errors import ContentMissing
from fedpact.provider.context import Cache
from fedpact.provider.duties.agreeing import agree
from fedpact.provider.duties.messages import peers_of
from fedpact.types.cid import Cid
from fedpact.types.requests import Phase
from tests.support.waiting import PATIENCE, wait_until

POOL = [f"0x{index:02x}" for index in range(6)]
OWN, DRAWN = POOL[0], POOL[:3]


class Records:
    """The opt-in records of a pool. Counts what is read; `hangs` until it is let go."""

    def __init__(self, store: EmbeddedStore) -> None:
        self._store, self.hangs = store, threading.Event()
        self.read: Counter[Cid] = Counter()
        self.joins = [(one, self.joined(one)) for one in POOL]
        self.hangs.set()

    def joined(self, account: str, port: int = 80) -> Cid:
        return self._store.put(json.dumps({"endpoint": f"http://{account}:{port}"}).encode())

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        self.read[cid] += 1
        self.hangs.wait(PATIENCE)
        return self._store.get(cid, max_bytes)

    def another(self) -> "Records":
        return self

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(EmbeddedStore(tmp_path))


@pytest.fixture
def view(records: Records) -> Iterator[Any]:
    """A round in which three of six are drawn, of a daemon without an address of its own."""
    found = Fetching(records, 0.5)  # type: ignore[arg-type]
    exchange = SimpleNamespace(own="", forget=lambda *_: None)
    ctx = SimpleNamespace(cache=Cache(), fetching=found, exchange=exchange)
    yield SimpleNamespace(
        ctx=ctx,
        id=1,
        round=2,
        own_seat=0,
        account=OWN,
        cohort=SimpleNamespace(members=[SimpleNamespace(account=one) for one in DRAWN]),
        facts=SimpleNamespace(phase=Phase.COMMIT, voided=0, halted=False, deadline=100),
        frame=SimpleNamespace(timestamp=10),
        in_mask=lambda _: False,
        share_passed=lambda: 0.1,
        events=lambda _: [
            {"provider": account, "attributes": cid.digest.hex()} for account, cid in records.joins
        ],
    )
    records.hangs.set()
    found.close()


def known(view: Any) -> list[str]:
    def complete() -> bool:
        return len(peers_of(view) or ()) == len(DRAWN) - 1

    wait_until(complete, "the records were not read")
    return peers_of(view) or []


def test_only_the_records_of_who_is_drawn_are_read_and_once(records: Records, view: Any) -> None:
    """The whole pool's were, in the cycle itself, one after the other."""
    assert known(view) == [f"http://{one}:80" for one in DRAWN[1:]]
    assert known(view)
    assert records.read == {cid: 1 for account, cid in records.joins if account in DRAWN[1:]}


def test_who_has_left_and_joined_anew_is_where_it_said_last(records: Records, view: Any) -> None:
    records.joins.append((POOL[1], records.joined(POOL[1], 81)))
    assert f"http://{POOL[1]}:81" in known(view)


def test_a_member_makes_no_calls_of_its_own_while_it_looks_for_the_others(
    records: Records, view: Any
) -> None:
    """A record that had not come yet counted as one that names no address."""
    records.hangs.clear()
    waiting = agree(view)
    assert waiting is not None
    assert "addresses" in waiting.reason


def test_records_that_are_nowhere_leave_a_member_to_its_own_calls(
    records: Records, view: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while they are looked for again: it waited then, half a minute each time."""

    def nowhere(cid: Cid, _: int) -> bytes:
        records.hangs.wait(PATIENCE)
        raise ContentMissing(f"{cid} is nowhere")

    monkeypatch.setattr(records, "get", nowhere)
    wait_until(lambda: agree(view) is None, "it waits for records that are nowhere")
    records.hangs.clear()
    assert [agree(view) for _ in range(3)] == [None] * 3
