"""The index says what the chain says: step by step, from scratch, and after a reorganisation."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import NoReturn

import pytest
from eth_utils.crypto import keccak

from fedpact.chain.client import ChainClient
from fedpact.chain.records import Event
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.dashboard.index.follow import Change, Follower
from fedpact.dashboard.index.reading import Index
from fedpact.dashboard.index.tables import IndexFile, remove
from fedpact.dashboard.index.transactions import SentReader
from fedpact.dashboard.links import Links
from fedpact.dashboard.story import RequestStage
from fedpact.dashboard.views.market import MarketQuery, Which, market_view
from fedpact.dashboard.web.hub import Hub
from fedpact.dashboard.web.site import Site
from fedpact.database import connect
from fedpact.errors import (
    ContentMissing,
    NodeUnreachable,
    StateDamaged,
    StorageUnavailable,
    UnknownRequest,
)
from fedpact.types.cid import Cid
from tests.support.chain_request import ChainRequest, People
from tests.support.waiting import PATIENCE, wait_until

TABLES = ("events", "mentions", "transactions", "records", "pools", "requests", "members")


def everything(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with sqlite3.connect(path) as db:
        return {
            name: db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in TABLES
        }


def step(follower: Follower) -> list[Change]:
    told: list[Change] = []
    follower.step(told.append)
    return told


def catch_up(follower: Follower) -> list[Change]:
    """All updates until nothing is new."""
    found: list[Change] = []
    told = step(follower)
    while any(one.requests or one.others for one in told):
        found += told
        told = step(follower)
    return found


def test_step_by_step_as_from_scratch(
    client: ChainClient, people: People, new_index: Callable[[str], Follower], tmp_path: Path
) -> None:
    kept = new_index("kept.sqlite")
    request = ChainRequest.created(client, people)
    step(kept)
    request.running()
    step(kept)
    request.post()
    request.submit(0, 1)
    assert {id_ for one in step(kept) for id_ in one.requests} == {request.id}
    catch_up(kept)
    catch_up(new_index("fresh.sqlite"))
    found = everything(tmp_path / "kept.sqlite")
    assert found == everything(tmp_path / "fresh.sqlite")
    assert {name: bool(rows) for name, rows in found.items()} == dict.fromkeys(TABLES, True)


def test_an_index_that_is_deleted_or_damaged_is_made_again(
    client: ChainClient, people: People, new_index: Callable[[str], Follower], tmp_path: Path
) -> None:
    ChainRequest.created(client, people)
    kept, path = new_index("kept.sqlite"), tmp_path / "kept.sqlite"
    catch_up(kept)
    whole = everything(path)
    remove(path)
    assert any(one.others for one in catch_up(kept))
    assert everything(path) == whole
    with IndexFile(path) as read:
        kept.distrust(read.identity)
        with sqlite3.connect(path) as db:
            db.execute("DELETE FROM requests")
        catch_up(kept)
        assert everything(path) == whole
        # Another reader that still holds the deleted file says nothing about the new one.
        made = path.stat().st_ino
        kept.distrust(read.identity)
        catch_up(kept)
        assert path.stat().st_ino == made


def test_an_index_that_is_being_made_is_not_damaged(client: ChainClient, tmp_path: Path) -> None:
    """Each reader that came just then had it made again."""
    path, found = tmp_path / "index.sqlite", list[object]()
    stores = (EmbeddedStore(tmp_path / "content"), EmbeddedStore(tmp_path / "content"))
    site = Site(client, stores, path, Hub(), Links(), 0, found.append)
    with closing(connect(path, timeout=1)), pytest.raises(StorageUnavailable, match="being made"):
        site.head()
    remove(path)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StateDamaged):
        site.head()
    held = path.stat()
    assert found == [(held.st_dev, held.st_ino)]


def test_an_index_that_another_process_has_made_again_is_kept(
    client: ChainClient, people: People, new_index: Callable[[str], Follower], tmp_path: Path
) -> None:
    """Else two dashboards of one state folder would delete each other's for ever."""
    kept, path = new_index("kept.sqlite"), tmp_path / "kept.sqlite"
    catch_up(kept)
    with IndexFile(path, writes=True, rebuild=True):
        made = path.stat().st_ino
        request = ChainRequest.created(client, people)
        catch_up(kept)
        assert path.stat().st_ino == made
    with IndexFile(path) as file:
        assert request.id in Index(file).request_ids()


def test_a_damaged_index_is_read_again_by_the_thread_that_follows(
    new_index: Callable[[str], Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, stop, told = new_index("kept.sqlite"), threading.Event(), list[Change]()
    gone = NodeUnreachable("gone")
    faults = iter([gone, gone, StateDamaged("index is damaged"), gone])
    whole = Follower._read_events

    def damaged(self: Follower) -> None:
        for fault in faults:
            raise fault
        whole(self)
        stop.set()

    kept.step(told.append)
    monkeypatch.setattr(Follower, "_read_events", damaged)
    kept.run(stop, 0.01, told.append)
    # Pages say that they are behind until a step succeeds, though no block has come since.
    assert [behind for behind, _ in groupby(one.behind for one in told)] == [False, True, False]
    assert any(one.others for one in told)


def test_a_request_is_open_only_while_providers_can_join(
    client: ChainClient, people: People, new_index: Callable[[str], Follower], tmp_path: Path
) -> None:
    empty, full = (ChainRequest.created(client, people) for _ in range(2))
    full.enrol()
    catch_up(new_index("kept.sqlite"))
    found = {}
    with IndexFile(tmp_path / "kept.sqlite") as file:
        now = Index(file).head()[1]
        for which in (Which.OPEN, Which.RUNNING):
            for when in (now, now + empty.terms.join_window + 60):
                view = market_view(file, MarketQuery(which=which), when)
                found[which, when > now] = {one.request for one in view.rows}
                assert {one.joinable(when) for one in view.rows} <= {which is Which.OPEN}
                assert view.counts["all"] == sum(
                    view.counts[o] for o in ("open", "running", "over")
                )
    mine = {empty.id, full.id}
    assert found[Which.OPEN, False] & mine == {empty.id}
    assert found[Which.RUNNING, False] & mine == {full.id}
    assert not found[Which.OPEN, True] & mine
    assert found[Which.RUNNING, True] >= mine


def test_a_share_of_sales_is_in_the_token_of_its_request(
    client: ChainClient, people: People, new_index: Callable[[str], Follower], tmp_path: Path
) -> None:
    request, maker = ChainRequest.created(client, people), people.members[0].address
    kept = new_index("kept.sqlite")
    catch_up(kept)
    given = {"request": request.id, "maker": maker, "index": 0, "to": people.requester.address}
    block = client.frame().block_number + 1
    claimed = Event("ResaleClaimed", "ResaleMarket", {**given, "amount": 37}, block, "0x1", 0, 9)
    kept._writer.replace(block, [claimed], {}, None)
    with IndexFile(tmp_path / "kept.sqlite") as file:
        [payment] = Index(file).payments_to(maker)
        assert (payment.token, payment.amount, payment.sale) == (request.terms.token, 37, True)
        assert Index(file).payments_to(people.requester.address) == []


def test_others_hear_nothing_of_a_request(
    client: ChainClient, people: People, new_index: Callable[[str], Follower]
) -> None:
    kept = new_index("kept.sqlite")
    request = ChainRequest.created(client, people)
    assert any(one.others for one in catch_up(kept))  # of the registry
    request.running().post()
    told = catch_up(kept)
    assert {id_ for one in told for id_ in one.requests} == {request.id}
    assert not any(one.others for one in told)
    members = {keys.address for keys in people.members}
    assert members <= {account for one in told for account in one.accounts}
    assert not any(one.requests or one.others for one in step(kept))


def test_what_is_in_the_index_is_told_though_the_node_fails(
    client: ChainClient,
    people: People,
    new_index: Callable[[str], Follower],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = new_index("kept.sqlite")
    request = ChainRequest.created(client, people)
    told: list[Change] = []

    def refuse(*_: object) -> NoReturn:
        raise NodeUnreachable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(SentReader, "read", refuse)
        with pytest.raises(NodeUnreachable):
            kept.step(told.append)
    assert request.id in told[0].requests
    assert request.id in {id_ for one in catch_up(kept) for id_ in one.requests}


def test_following_goes_on_after_any_fault(
    new_index: Callable[[str], Follower],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept, stop, told = new_index("kept.sqlite"), threading.Event(), []
    faults = iter([ValueError("a fault of our own")])
    whole = Follower.step

    def faulty(self: Follower, tell: Callable[[Change], None]) -> None:
        for fault in faults:
            raise fault
        whole(self, tell)

    def tell(change: Change) -> None:
        told.append(change)
        stop.set()

    monkeypatch.setattr("fedpact.dashboard.index.follow.LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(Follower, "step", faulty)
    kept.run(stop, 0.01, tell)
    assert told
    assert "a fault of our own" in caplog.text


def test_missing_content_holds_nothing_up(
    client: ChainClient,
    people: People,
    new_index: Callable[[str], Follower],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, asked = new_index("kept.sqlite"), []
    for word in ("first", "second", "third"):
        ChainRequest.created(client, people, specification=keccak(text=word))

    def missing(_: object, cid: Cid, *__: object) -> NoReturn:
        asked.append(cid)
        raise ContentMissing(f"nobody holds {cid}")

    monkeypatch.setattr(EmbeddedStore, "get", missing)
    step(kept)
    step(kept)
    assert len(asked) == 1
    [(attempts, due)] = kept._writer.file.rows("SELECT attempts, due FROM contents")
    assert (attempts, due > time.time()) == (1, True)


def test_a_slow_store_does_not_delay_what_is_live(
    client: ChainClient,
    people: People,
    new_index: Callable[[str], Follower],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, answer = new_index("kept.sqlite"), threading.Event()

    def slow(_: object, cid: Cid, *__: object) -> NoReturn:
        answer.wait(PATIENCE)
        raise ContentMissing(f"nobody holds {cid}")

    monkeypatch.setattr(EmbeddedStore, "get", slow)
    request = ChainRequest.created(client, people, specification=keccak(text="slow"))
    step(kept)
    request.running()
    try:
        assert request.id in {id_ for one in step(kept) for id_ in one.requests}
        assert not kept._writer.file.rows("SELECT * FROM contents")
    finally:
        answer.set()

    def entered() -> object:
        step(kept)
        return kept._writer.file.rows("SELECT 1 FROM contents")

    wait_until(entered)


def test_a_reorganisation_is_taken_back(
    client: ChainClient, people: People, new_index: Callable[[str], Follower], tmp_path: Path
) -> None:
    kept = new_index("kept.sqlite")
    request = ChainRequest.created(client, people).running()
    catch_up(kept)
    fork = client.rpc.call("evm_snapshot")
    request.post()
    lost = ChainRequest.created(client, people)
    catch_up(kept)
    with IndexFile(tmp_path / "kept.sqlite") as file:
        assert len(Index(file).story(request.id).rounds) == 2
        assert Index(file).story(lost.id).stage is RequestStage.OPEN
    assert client.rpc.call("evm_revert", fork)
    request.submit(2)
    catch_up(kept)
    catch_up(new_index("fresh.sqlite"))
    assert everything(tmp_path / "kept.sqlite") == everything(tmp_path / "fresh.sqlite")
    with IndexFile(tmp_path / "kept.sqlite") as file:
        [one] = Index(file).story(request.id).rounds
        assert [seat for seat, _ in one.done] == [2]
        with pytest.raises(UnknownRequest):
            Index(file).story(lost.id)
        listed = market_view(file, MarketQuery(which=Which.ALL), 0, 0).rows
        assert lost.id not in [row.request for row in listed]


def test_a_damaged_index_is_made_anew(
    client: ChainClient, people: People, new_index: Callable[[str], Follower], tmp_path: Path
) -> None:
    ChainRequest.created(client, people)
    path = tmp_path / "kept.sqlite"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StateDamaged), IndexFile(path) as file:
        file.meta("block")
    catch_up(new_index("kept.sqlite"))
    with IndexFile(path) as file:
        assert Index(file).request_ids()


def test_a_reader_cannot_write(
    client: ChainClient, new_index: Callable[[str], Follower], tmp_path: Path
) -> None:
    catch_up(new_index("kept.sqlite"))
    with IndexFile(tmp_path / "kept.sqlite") as file, pytest.raises(Exception, match="readonly"):
        file.change("DELETE FROM events")
