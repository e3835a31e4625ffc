"""The requester's loop on given facts: what it does, reports and survives."""

from collections.abc import Callable, Iterator

import pytest

from fedpact.errors import NodeUnreachable, Reverted, StoreUnreachable
from fedpact.requester.follow import RequestProgress, follow
from fedpact.types.rounds import RequestRecord, RequestStatus, RoundState, Stage

Facts = tuple[RequestRecord, RoundState]


def facts(
    status: RequestStatus, stage: Stage = Stage.NONE, round_: int = 0, *, opened: bool = False
) -> Facts:
    record = RequestRecord(1, "0x0", 10, status, 1, 0, 0, 2, 60, 60, 3, 2, 2, False, False, 0)
    state = RoundState(
        request_id=1,
        round=round_,
        stage=stage,
        stage_start=0,
        stage_deadline=0,
        seats=2,
        members=3,
        expected=3,
        barred=0,
        ever=3,
        submitted=3,
        committed=0,
        revealed=0,
        attested=0,
        last_leader=None,
        paid_rounds=0,
        final_rounds=0,
        slice_opened=opened,
        ended=stage is Stage.ENDED,
        reached=False,
        ended_at=100,
        final_digest=b"",
        history=b"",
    )
    return record, state


DELIVERED = facts(RequestStatus.DELIVERED, Stage.ENDED, 1)
COMMIT = facts(RequestStatus.RUNNING, Stage.COMMIT, 1)
OPENED = facts(RequestStatus.RUNNING, Stage.COMMIT, 1, opened=True)


def play(
    *steps: Facts | Exception,
    open_slice: Callable[[RoundState], str] = lambda _: "opened",
    give_up: float | None = None,
) -> list[RequestProgress]:
    """The reports of a loop over a chain that advances step by step."""
    script: Iterator[Facts | Exception] = iter(steps)
    reports: list[RequestProgress] = []

    def look() -> Facts:
        step = next(script)
        if isinstance(step, Exception):
            raise step
        return step

    end = follow(
        look,
        open_slice,
        reports.append,
        poll_interval=0.001,
        give_up_at=lambda *_: give_up,
        now=lambda: 1000.0,
    )
    assert end == reports[-1]
    return reports


def test_the_slice_is_opened_once_submissions_have_closed() -> None:
    calls: list[int] = []

    def open_slice(state: RoundState) -> str:
        calls.append(state.round)
        return "opened"

    play(
        facts(RequestStatus.OPEN),
        facts(RequestStatus.RUNNING, Stage.SUBMIT, 1),
        COMMIT,
        OPENED,
        facts(RequestStatus.RUNNING, Stage.REVEAL, 1),
        DELIVERED,
        open_slice=open_slice,
    )

    assert calls == [1]


def test_only_changes_are_reported() -> None:
    reports = play(facts(RequestStatus.OPEN), facts(RequestStatus.OPEN), DELIVERED)
    assert [one.status for one in reports] == [RequestStatus.OPEN, RequestStatus.DELIVERED]


def test_a_round_that_moved_on_meanwhile_is_noted_not_fatal() -> None:
    def too_late(_: RoundState) -> str:
        raise Reverted("TrainingRounds_SliceTooLate", (1, 99))

    reports = play(COMMIT, DELIVERED, open_slice=too_late)

    assert "SliceTooLate" in reports[0].note


@pytest.mark.parametrize("error", [NodeUnreachable("no node"), StoreUnreachable("no store")])
def test_an_unanswered_call_is_retried(error: Exception) -> None:
    reports = play(facts(RequestStatus.OPEN), error, error, DELIVERED)
    assert any(str(error) in one.note for one in reports)
    assert reports[-1].status is RequestStatus.DELIVERED


def test_a_store_that_fails_while_the_slice_is_opened_is_asked_again() -> None:
    tries: list[int] = []

    def flaky(state: RoundState) -> str:
        tries.append(state.round)
        if len(tries) < 3:
            raise StoreUnreachable("no store")
        return "opened"

    play(COMMIT, COMMIT, COMMIT, OPENED, DELIVERED, open_slice=flaky)

    assert len(tries) == 3


def test_a_cancelled_request_ends_the_loop() -> None:
    assert play(facts(RequestStatus.CANCELLED))[-1].status is RequestStatus.CANCELLED


def test_the_loop_gives_up_once_nothing_can_be_delivered_any_more() -> None:
    ended = facts(RequestStatus.ENDED, Stage.ENDED, 1)
    assert play(ended, give_up=999.0)[-1].status is RequestStatus.ENDED


def test_ctrl_c_goes_through() -> None:
    def interrupted(_: RoundState) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(COMMIT, open_slice=interrupted)
