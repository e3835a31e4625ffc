"""How a member treats content that its store fails to return."""

from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.errors import (
    ContentMismatch,
    ContentMissing,
    ContentSought,
    ContentTooLarge,
    StoreUnreachable,
)
from fedpact.provider.duties import voting
from fedpact.provider.request import reading
from fedpact.types.requests import Phase


def view(error: Exception) -> Any:
    """Of a request with one other member, whose model's bytes are asked for in vain."""

    def take(*_: object) -> bytes:
        raise error

    member = SimpleNamespace(account="0xaa")
    ctx = SimpleNamespace(
        fetching=SimpleNamespace(take=take),
        cache=SimpleNamespace(models={}),
    )
    return SimpleNamespace(ctx=ctx, id=1, round=2, pool=[member], members=[member], draws=False)


@pytest.fixture(autouse=True)
def specification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "specification_of", lambda _: None)
    monkeypatch.setattr(reading, "template_of", lambda _: SimpleNamespace(bytes=8))
    monkeypatch.setattr(reading, "model_cid", lambda *_: "cid")
    monkeypatch.setattr(reading, "sealed_bytes", lambda _: 8)


def test_no_member_is_judged_by_what_a_damaged_store_gives_for_its_model() -> None:
    """Seen in chaos: while a store gave other bytes, members called each other's models invalid,
    and the request ended."""
    with pytest.raises(ContentMismatch):
        reading.member_model(view(ContentMismatch("served as cid")), 2, 0, b"digest")


def test_a_model_of_another_size_is_its_makers_fault() -> None:
    assert reading.member_model(view(ContentTooLarge("9 bytes")), 2, 0, b"digest") is None


def test_a_slice_that_a_damaged_store_gives_wrongly_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def damaged(*_: object) -> None:
        raise ContentMismatch("served as cid")

    monkeypatch.setattr(voting, "evaluation_slice", damaged)
    monkeypatch.setattr(voting, "look_ahead", lambda _: None)
    seen, saved = view(ContentMismatch("x")), []
    seen.ctx.state = SimpleNamespace(vote=lambda *_: None, save_vote=lambda *of: saved.append(of))
    seen.facts, seen.share_passed = SimpleNamespace(phase=Phase.COMMIT), lambda: 0.1
    with pytest.raises(ContentMismatch):
        voting.own_vote(seen)
    seen.share_passed = lambda: 0.9
    vote = voting.own_vote(seen)
    assert vote is not None
    assert vote.scores == {}  # blind
    assert len(saved) == 1


@pytest.mark.parametrize(
    ("error", "phase", "passed", "blind"),
    [
        (ContentSought("first"), Phase.COMMIT, 0.8, False),
        (ContentSought("again", again=True), Phase.COMMIT, 0.8, True),
        (StoreUnreachable("down"), Phase.COMMIT, 0.8, False),
        (ContentSought("first"), Phase.COMMIT, 0.95, True),
        (ContentMissing("nowhere"), Phase.COMMIT, 0.8, True),
        (ContentMissing("nowhere"), Phase.SUBMIT, 0.95, False),
    ],
)
def test_a_vote_is_blind_only_where_the_slice_is_nowhere_or_the_time_is_up(
    monkeypatch: pytest.MonkeyPatch, error: Exception, phase: Phase, passed: float, blind: bool
) -> None:
    """After three quarters of a window, a daemon that had just begun to look voted blind."""

    def sought(*_: object) -> None:
        raise error

    monkeypatch.setattr(voting, "evaluation_slice", sought)
    monkeypatch.setattr(voting, "look_ahead", lambda _: None)
    seen = view(error)
    seen.ctx.state = SimpleNamespace(vote=lambda *_: None, save_vote=lambda *_: None)
    seen.facts, seen.share_passed = SimpleNamespace(phase=phase), lambda: passed
    if blind:
        vote = voting.own_vote(seen)
        assert vote is not None
        assert vote.scores == {}
    else:
        with pytest.raises(type(error)):
            voting.own_vote(seen)
