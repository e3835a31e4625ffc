"""A judge's scores of a large round's models, committed and then opened."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from fedpact.consensus.artefacts import SLICE_MAX_BYTES
from fedpact.consensus.committee_evidence import (
    ModelList,
    ScoreSheet,
)
from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.errors import ContentError, ContentUnavailable, Retryable
from fedpact.exchange.messages import Kind, Message
from fedpact.provider.duties.catching_up import caught_up, counts_as_missing
from fedpact.provider.duties.large_rounds.part import JudgesPart
from fedpact.provider.duties.voting import round_models, salt_of
from fedpact.provider.request.history import replay_of
from fedpact.provider.request.reading import (
    evaluation_slice,
    specification_of,
)
from fedpact.provider.state.messages import SHEET
from fedpact.types.cid import Cid

log = logging.getLogger(__name__)

BLIND_AFTER = 0.5
"""Share of the commit window after which a round without a slice is blind."""


class Voting(JudgesPart):
    """Finds the slice, scores, commits and opens."""

    def take_slices(self) -> None:
        """Use what the requester sent, as far as it opens."""
        for message in self._slices():
            self._take_slice(message)

    def vote(self, listed: ModelList) -> str | None:
        """Say the own vote; why there is none yet, or None."""
        view = self._view
        if view.seat in self._talk.held(Kind.VOTE):
            return None
        kept = self._kept(SHEET)
        sheet = self._sheet(listed) if kept is None else ScoreSheet.decode(kept)
        if isinstance(sheet, str):
            return sheet
        self._keep(SHEET, sheet.encode())  # Public once it is opened: others could copy it.
        domain = view.ctx.client.large.domain
        number = int.from_bytes(sheet.digest)
        commitment = domain.commitment(*self._at, view.account, number, salt_of(view))
        return None if self._talk.say(Kind.VOTE, commitment, listed.digest) else "voted before"

    def _sheet(self, listed: ModelList) -> ScoreSheet | str:
        """The own scores; why there are none yet."""
        view = self._view
        cid = Cid.parse(specification_of(view).evaluation[view.round - 1].cid)
        view.ctx.fetching.begin(view.id, cid, SLICE_MAX_BYTES)
        with suppress(Retryable, ContentError):  # the vote meets it too, if it stays
            round_models(view)
        late = view.share_passed() > BLIND_AFTER
        try:
            if evaluation_slice(view, view.round) is None:
                return self._blind(late=late)
        except ContentUnavailable as error:
            if not counts_as_missing(view, error):
                return f"waiting for the evaluation slice: {error}"
            return self._blind(late=True)
        except ContentError:
            return self._blind(late=late)
        if round_models(view) is None or not caught_up(view, voting=True):
            return "waiting for the trainers' models"
        scores = self._scores()
        if scores is None:
            return "scoring the models"
        return ScoreSheet.of(listed, scores)

    def _blind(self, *, late: bool) -> ScoreSheet | str:
        if not late:
            return "waiting for the evaluation slice"
        models = round_models(self._view)
        if models is None:
            return "waiting for the trainers' models"
        log.warning(
            "request %d, round %d: this account cannot open the evaluation slice", *self._at
        )
        opened = sorted(index for index, model in models.items() if model is not None)
        return ScoreSheet(scores=None, opened=tuple(opened))

    def _scores(self) -> dict[int, int] | None:
        view = self._view

        def scoring() -> Callable[[], tuple[dict[int, int], ContributionRecord]]:
            return replay_of(view).scoring(view.round).result

        found = view.ctx.public_work.result(("score", *self._at), scoring, view.deadline)
        if found is None:
            return None
        view.ctx.cache.records[self._at] = found[1]
        return view.ctx.trainer.work.vote(found[0], -1)

    def _take_slice(self, message: Message) -> None:
        """Use a slice if it opens."""
        view = self._view
        if self._at in view.ctx.cache.slices:
            return
        view.ctx.cache.sealed[self._at] = message.content
        try:
            evaluation_slice(view, view.round)
        except Retryable:
            pass  # Its bytes may come; the vote waits for them.
        except ContentError as error:
            log.warning("request %d: the slice sent for round %d: %s", *self._at, error)
            del view.ctx.cache.sealed[self._at]

    def reveal(self, listed: ModelList) -> str | None:
        """Open the own vote once all that vote on this list have said theirs; why not yet."""
        view, seats = self._view, set(self._order)
        voted = self._voters(listed)
        over = view.share_passed() >= 1
        if voted != seats and not (over and len(voted) >= self._needed):
            return f"{len(voted)} of {len(seats)} judges have voted"
        if view.seat in self._talk.held(Kind.REVEAL):
            return None
        sheet = self._own_sheet(listed)
        if sheet is None:
            return "computing the own vote again"
        self._talk.say(Kind.REVEAL, sheet, salt_of(view))
        return None

    def _own_sheet(self, listed: ModelList) -> bytes | None:
        """The digest that the own vote was for."""
        view = self._view
        commitment = self._talk.held(Kind.VOTE)[view.seat].content
        domain = view.ctx.client.large.domain
        kept = self._kept(SHEET)
        sheet = self._sheet(listed) if kept is None else ScoreSheet.decode(kept)
        if not isinstance(sheet, ScoreSheet):
            return None
        at = (*self._at, view.account, int.from_bytes(sheet.digest), salt_of(view))
        if domain.commitment(*at) != commitment:
            return None
        self._publish(sheet.encode())
        return sheet.digest
