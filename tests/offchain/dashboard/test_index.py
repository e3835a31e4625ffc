"""The index says what the chain says: step by step, from scratch, and after a reorganisation."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from fedpact.chain.client import ClientV2
from fedpact.dashboard.index.follow import Follower
from fedpact.dashboard.index.reading import Index
from fedpact.dashboard.index.tables import IndexFile
from fedpact.dashboard.story import Stage
from fedpact.dashboard.views.market import MarketQuery, Which, market_view
from fedpact.errors import StateDamaged, UnknownRequest
from tests.support.second import People, SecondRequest

TABLES = ("events", "mentions", "transactions", "records", "pools", "requests", "members")


def everything(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with sqlite3.connect(path) as db:
        return {
            name: db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in TABLES
        }


def catch_up(follower: Follower) -> None:
    while True:
        change = follower.step()
        if change is None or not (change.requests or change.others):
            return


def test_step_by_step_as_from_scratch(
    second: ClientV2, people: People, new_index: Callable[[str], Follower], tmp_path: Path
) -> None:
    kept = new_index("kept.sqlite")
    request = SecondRequest.created(second, people)
    kept.step()
    request.running()
    kept.step()
    request.post()
    request.submit(0, 1)
    change = kept.step()
    assert change is not None
    assert change.requests == {request.id}
    catch_up(kept)
    catch_up(new_index("fresh.sqlite"))
    found = everything(tmp_path / "kept.sqlite")
    assert found == everything(tmp_path / "fresh.sqlite")
    assert {name: bool(rows) for name, rows in found.items()} == dict.fromkeys(TABLES, True)


def test_a_reorganisation_is_taken_back(
    second: ClientV2, people: People, new_index: Callable[[str], Follower], tmp_path: Path
) -> None:
    kept = new_index("kept.sqlite")
    request = SecondRequest.created(second, people).running()
    catch_up(kept)
    fork = second.rpc.call("evm_snapshot")
    request.post()
    lost = SecondRequest.created(second, people)
    catch_up(kept)
    with IndexFile(tmp_path / "kept.sqlite") as file:
        assert len(Index(file).story(request.id).rounds) == 2
        assert Index(file).story(lost.id).stage is Stage.OPEN
    assert second.rpc.call("evm_revert", fork)
    request.submit(2)
    catch_up(kept)
    catch_up(new_index("fresh.sqlite"))
    assert everything(tmp_path / "kept.sqlite") == everything(tmp_path / "fresh.sqlite")
    with IndexFile(tmp_path / "kept.sqlite") as file:
        [one] = Index(file).story(request.id).rounds
        assert [seat for seat, _ in one.done] == [2]
        with pytest.raises(UnknownRequest):
            Index(file).story(lost.id)
        listed = market_view(file, MarketQuery(which=Which.ALL), 0).rows
        assert lost.id not in [row.request for row in listed]


def test_a_damaged_index_is_made_anew(
    second: ClientV2, people: People, new_index: Callable[[str], Follower], tmp_path: Path
) -> None:
    SecondRequest.created(second, people)
    path = tmp_path / "kept.sqlite"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StateDamaged), IndexFile(path) as file:
        file.meta("block")
    catch_up(new_index("kept.sqlite"))
    with IndexFile(path) as file:
        assert Index(file).request_ids()


def test_a_reader_cannot_write(
    second: ClientV2, new_index: Callable[[str], Follower], tmp_path: Path
) -> None:
    catch_up(new_index("kept.sqlite"))
    with IndexFile(tmp_path / "kept.sqlite") as file, pytest.raises(Exception, match="readonly"):
        file.change("DELETE FROM events")
