"""The steps of a large round as its judges take them, each as soon as it is possible."""

from __future__ import annotations

from fedpact.consensus.committee_evidence import (
    JudgedRound,
    ModelList,
)
from fedpact.consensus.large_rounds import LargeBoard
from fedpact.errors import ContentError
from fedpact.provider.context import DutyResult, idle
from fedpact.provider.duties.large_rounds.picking import Picking
from fedpact.provider.duties.large_rounds.recording import Recording
from fedpact.provider.duties.large_rounds.submitting import (
    begin_round,
    fix_committee,
    gather,
)
from fedpact.provider.duties.large_rounds.tallying import Tallying
from fedpact.provider.duties.large_rounds.voting import Voting
from fedpact.provider.duties.messages import Talk
from fedpact.provider.request.history import board_of
from fedpact.provider.request.reading import (
    request_key,
)
from fedpact.provider.request.view import LargeView


def judge_models(view: LargeView) -> DutyResult:
    """Judge a round's models with the rest of its committee, and post what a quorum finds."""
    begin_round(view)
    exchange = view.ctx.exchange
    if exchange is None or view.own_seat is None:
        return idle("the committee judges")
    exchange.forget(view.id, view.round)
    try:
        request_key(view)
    except ContentError as error:
        return idle(f"not judging: {error}")
    talk = gather(view, exchange)
    return fix_committee(view) or _go_on(view, talk)


def _go_on(view: LargeView, talk: Talk) -> DutyResult:
    """Do and say all that is possible now."""
    voting, recording = Voting(view, talk), Recording(view, talk)
    voting.take_slices()
    listed = Picking(view, talk).listed()
    if not isinstance(listed, ModelList):
        return listed
    voted = voting.vote(listed)
    if voted is not None:
        return idle(voted)
    opened = voting.reveal(listed)
    if opened is not None:
        return idle(opened)
    found = Tallying(view, talk).tally(listed)
    if isinstance(found, str):
        return idle(found)
    record = recording.record(found, _board_of(view, found))
    if isinstance(record, str):
        return idle(record)
    return recording.post(record, listed)


def _board_of(view: LargeView, found: JudgedRound) -> LargeBoard:
    known, at = view.ctx.cache.boards, (view.id, view.round)
    if at not in known:
        known[at] = board_of(view, found, view.cohort)
    return known[at]
