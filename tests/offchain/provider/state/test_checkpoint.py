"""The daemon's checkpoint: bound to one deployment, all or nothing, rewound with the chain."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedpact.errors import StateError
from fedpact.provider.state.checkpoint import CastVote, Participation, ProviderState, request_of
from fedpact.types.deployment import Deployment

DEPLOYMENT = Deployment(31337, "0xaa", "0x1", "0x2", "0x3", 5, {})
ACCOUNT = "0xA"


def created(block: int, request: int) -> tuple[int, int, str, dict[str, Any]]:
    return block, 0, "RequestCreated", {"request": request, "terms": {"specification": b"\x01"}}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[ProviderState]:
    opened = ProviderState(tmp_path / "state.sqlite", DEPLOYMENT, ACCOUNT)
    yield opened
    opened.close()


def test_an_event_is_of_its_request() -> None:
    """A wait after a failure ends with the next event of the request."""
    assert request_of({"request": 7, "round": 1}) == 7
    assert request_of({"account": "0xa"}) is None


def test_starts_before_the_deployment(state: ProviderState) -> None:
    assert (state.block, state.block_hash) == (4, "")


def test_events_are_read_and_the_checkpoint_advances(state: ProviderState) -> None:
    state.ingest([created(6, 1), created(7, 2)], 8, "0xb8")
    assert (state.block, state.block_hash) == (8, "0xb8")
    assert state.open_requests() == [(1, Participation.NEW), (2, Participation.NEW)]
    [event] = state.events(1, "RequestCreated")
    assert event["terms"]["specification"] == "0x01"


def test_events_are_taken_all_or_none(state: ProviderState) -> None:
    broken = (7, 0, "RequestCreated", {"request": 2, "terms": object()})
    with pytest.raises(TypeError):
        state.ingest([created(6, 1), broken], 8, "0xb8")
    assert state.block == 4
    assert state.open_requests() == []


def test_events_that_are_read_again_are_nothing_new(state: ProviderState) -> None:
    """Each block's events are read again with the next two: a request's history was decoded three
    times for each event, and compared with the ledger as often."""
    assert state.ingest([created(6, 1)], 6, "0xb6") == {1}
    before = state.version(1)
    late = (6, 1, "Joined", {"request": 2, "digest": b"\x01"})
    assert state.ingest([created(6, 1), late, created(7, 3)], 7, "0xb7") == {2, 3}
    assert state.version(1) == before
    assert state.ingest([created(6, 1), late, created(7, 3)], 8, "0xb8") == set()
    assert len(state.events_of(1)) == 1
    changed = (7, 0, "RequestCreated", {"request": 4, "terms": {}})
    assert state.ingest([changed], 7, "0xc7", first=7) == {4}


def test_events_reverted_by_a_reorganisation_are_dropped(state: ProviderState) -> None:
    state.ingest([created(6, 1), created(9, 2)], 9, "0xb9")
    state.decide(1, Participation.JOINED, "joined")
    state.save_vote(2, 1, CastVote({0: 1}, {}))
    state.ingest([], 7, "0xb7", first=8)
    assert (state.block, state.block_hash) == (7, "0xb7")
    assert state.open_requests() == [(1, Participation.JOINED)]
    assert state.vote(2, 1) is None
    state.ingest([created(6, 1), created(8, 3)], 9, "0xc9")
    assert state.open_requests() == [(1, Participation.JOINED), (3, Participation.NEW)]


def test_a_reorganisation_takes_back_that_a_request_has_ended(state: ProviderState) -> None:
    """Otherwise nobody settles it again."""
    for number in (1, 2, 3):
        state.ingest([created(5 + number, number)], 5 + number, "0x")
    settled = (9, 0, "Settled", {"request": 1})
    state.ingest([settled, (9, 1, "Settled", {"request": 2})], 9, "0xb9")
    state.decide(1, Participation.FINISHED, "paid")
    state.decide(2, Participation.DECLINED, "too dear")
    state.decide(3, Participation.FINISHED, "ended without me")
    state.ingest([], 8, "0xb8", first=9)
    assert state.open_requests() == [(1, Participation.NEW)]


def test_forgets_the_events_of_ended_requests_and_gives_their_room_back(
    tmp_path: Path,
) -> None:
    path, many = tmp_path / "state.sqlite", 200
    with ProviderState(path, DEPLOYMENT, ACCOUNT) as state:
        for number in (1, 2, 3, 4):
            events = [
                (10 * number + 1, index, "Attested", {"request": number, "digest": "00" * 500})
                for index in range(many if number < 3 else 1)
            ]
            state.ingest([created(10 * number, number), *events], 10 * number + 1, "0x")
        state.ingest([(45, 0, "Registered", {"account": "0xa"})], 45, "0x")
        state.ingest([(46, 0, "Attested", {"request": 9})], 46, "0x")  # begun before the first scan
        state.decide(1, Participation.FINISHED, "paid 5")
        state.decide(2, Participation.DECLINED, "too dear")
        state.decide(3, Participation.JOINED, "joined")
        state.decide(4, Participation.FINISHED, "paid 6")
        for wei in (1, 2):
            state.add_cost(1, wei)
        state.save_vote(1, 1, CastVote({0: 1}, {}))
    whole = path.stat().st_size
    with ProviderState(path, DEPLOYMENT, ACCOUNT) as state:
        assert state.forgettable(41, 10) == [1, 2]
        assert state.forgettable(41, 1) == [1]
        for number in (1, 2):
            state.forget_events(number, {1: b"own"} if number == 1 else {})
        state.give_back()
        assert state.forgettable(41, 10) == []
        assert state.forgettable(47, 10) == [4, 9]
        assert [name for name, _ in state.events_of(1)] == ["RequestCreated"]
        assert len(state.events_of(3)) == 2
        assert (state.cost(1), state.vote(1, 1), state.submitted(1)) == (3, None, {1: b"own"})
        assert state.all_requests()[0] == (1, Participation.FINISHED, "paid 5")
        state.decide(3, Participation.FINISHED, "paid 7")
        assert state.forgettable(47, 10) == [3, 4, 9]  # no request is open
    assert path.stat().st_size < whole / 4


def test_lists_only_requests_that_may_still_ask_something(state: ProviderState) -> None:
    state.ingest([created(6, n) for n in range(1, 5)][:1], 6, "0xb6")
    for number in (2, 3, 4):
        state.ingest([created(5 + number, number)], 5 + number, "0x")
    state.decide(1, Participation.DECLINED, "too dear")
    state.decide(2, Participation.FINISHED, "claimed")
    state.decide(3, Participation.JOINED, "")
    assert [number for number, _ in state.open_requests()] == [3, 4]
    assert (1, Participation.DECLINED, "too dear") in state.all_requests()


def test_keeps_votes_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    first = ProviderState(path, DEPLOYMENT, ACCOUNT)
    first.save_vote(1, 2, CastVote({0: 4900, 3: 16383}, {"0": [0.5, 1, 0.0, 0.0]}))
    first.close()
    second = ProviderState(path, DEPLOYMENT, ACCOUNT)
    assert second.vote(1, 2) == CastVote({0: 4900, 3: 16383}, {"0": [0.5, 1, 0.0, 0.0]})
    assert second.vote(1, 1) is None
    second.close()


def test_refuses_the_file_of_another_deployment_or_account(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    ProviderState(path, DEPLOYMENT, ACCOUNT).close()
    restarted = Deployment(31337, "0xbb", "0x1", "0x2", "0x3", 5, {})
    with pytest.raises(StateError, match="deployment"):
        ProviderState(path, restarted, ACCOUNT)
    with pytest.raises(StateError, match="account"):
        ProviderState(path, DEPLOYMENT, "0xB")


def test_a_request_created_again_keeps_its_decision(state: ProviderState) -> None:
    state.ingest([created(6, 1)], 6, "0xb6")
    state.decide(1, Participation.JOINED, "joined")
    state.ingest([created(7, 1)], 7, "0xc7", first=6)
    assert state.open_requests() == [(1, Participation.JOINED)]


def test_the_ends_of_ranges_outlive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    first = ProviderState(path, DEPLOYMENT, ACCOUNT)
    for block in range(5, 300):
        first.ingest([], block, f"0x{block:x}")
    first.ingest([], 298, "0xf298", first=298)
    first.close()
    second = ProviderState(path, DEPLOYMENT, ACCOUNT)
    ends = [(end.block_number, end.block_hash) for end in second.ends()]
    assert len(ends) == 127
    assert ends[-2:] == [(297, "0x129"), (298, "0xf298")]
    second.close()
