"""Score the rounds in which this member did not vote, so that its next vote follows from the same
record as the others'.

A member that is drawn again, or has lost its state, has them all before it. It begins beside its
own training, one round at a time, and waits for no model: what is looked for costs no cycle.
"""

import logging
import time
from collections.abc import Callable, Iterable
from functools import partial

from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.consensus.replay import Replay
from fedpact.errors import ContentMismatch, ContentMissing, ContentSought, Retryable
from fedpact.provider.request.history import history_of, replay_of
from fedpact.provider.request.reading import look_for, specification_of
from fedpact.provider.request.view import RequestView

log = logging.getLogger(__name__)

PATIENCE = 0.75
"""Share of a window after which content that was not found counts as missing."""
LAST_PATIENCE = 0.9
"""The same for content of which nobody knows: it is looked for the first time, or the store does
not answer."""
SEARCH = 0.25
"""Share of the submit window for which an earlier model that is nowhere is looked for."""
AHEAD, AHEAD_BYTES = 3, 1 << 26
"""Rounds whose content is looked for beside that of the round to score, and the bytes of their
models, local and global, at most. Their slices come on top."""


def caught_up(view: RequestView, *, voting: bool) -> bool:
    """Whether all is scored and at hand that the scores of the present round follow from; goes on
    with it for about as long as a cycle may wait.

    `voting`: the vote waits for this alone. A model of an earlier round that is nowhere by then is
    left out: its owner could keep every newcomer from voting otherwise. The members of its round
    keep copies (`reading.member_model`), so that it takes more than its owner to hide it.
    """
    ctx, replay, began = view.ctx, replay_of(view), time.monotonic()
    while (number := replay.first_unscored(view.round)) < view.round:
        _look_ahead(view, number)
        if not _all_at_hand(view, replay.wanted(number), voting=voting):
            return False
        found = ctx.public_work.result(
            ("score", view.id, number),
            partial(_scoring, replay, number),
            view.deadline,
        )
        if found is None:
            return False
        ctx.cache.records[(view.id, number)] = found[1]
        ctx.cache.forget(view.id, number - 1)
        if time.monotonic() - began > ctx.public_work.patience:
            return False
    earlier = [one for one in replay.wanted(view.round) if one != view.round]
    return _all_at_hand(view, earlier, voting=voting)


def _look_ahead(view: RequestView, number: int) -> None:
    """Begin to look for what the rounds from `number` on are scored with."""
    history, left = history_of(view), AHEAD_BYTES
    history.look_for(number)
    for one in range(number + 1, min(number + AHEAD + 1, view.round)):
        left -= history.bytes_to_read(one)
        if left < 0:
            return
        history.look_for(one)


def _all_at_hand(view: RequestView, numbers: Iterable[int], *, voting: bool) -> bool:
    """Whether `_at_hand` holds for all; they are looked for together."""
    found = [_at_hand(view, one, voting=voting) for one in numbers]
    return all(found)


def _at_hand(view: RequestView, number: int, *, voting: bool) -> bool:
    """Whether the models of an earlier round are read, or given up."""
    models, history = view.ctx.cache.models.setdefault((view.id, number), {}), history_of(view)
    late = view.ctx.cache.late.setdefault((view.id, number), set())
    missing = {
        index: digest
        for index, digest in history.digests(number).items()
        if index not in models or index in late
    }
    look_for(view, missing.values())
    waiting = False
    # Every model is asked for each time: what was not found is then looked for again.
    for index, digest in missing.items():
        try:
            models[index] = history.fetched(number, index, digest)
            late.discard(index)
        except Retryable as error:
            if not _is_given_up(view, error, voting=voting):
                waiting = True
                continue
            said = "request %d: scoring round %d without the model of member %d: %s"
            log.warning(said, view.id, number, index, error)
            late.discard(index)
            models[index] = None
    return not waiting


def counts_as_missing(view: RequestView, error: Retryable) -> bool:
    """Whether a vote goes on without content that cannot be read for this reason."""
    sought_again = isinstance(error, ContentSought) and error.again
    not_found = sought_again or isinstance(error, ContentMissing | ContentMismatch)
    return view.share_passed() > (PATIENCE if not_found else LAST_PATIENCE)


def _is_given_up(view: RequestView, error: Retryable, *, voting: bool) -> bool:
    # Of a secure sum's parts, some are missing while others are looked for.
    nowhere = isinstance(error, ContentMissing) and specification_of(view).privacy.sum is None
    if voting:
        return nowhere or counts_as_missing(view, error)
    return nowhere and view.share_passed() > SEARCH


def _scoring(
    replay: Replay, number: int
) -> Callable[[], tuple[dict[int, int], ContributionRecord]]:
    return replay.scoring(number).result
