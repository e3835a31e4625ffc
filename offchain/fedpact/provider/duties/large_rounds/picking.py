"""Which models a large round has: those that enough judges held as its submissions were over."""

from __future__ import annotations

import logging
from functools import partial

from fedpact.consensus.committee_evidence import (
    ModelList,
)
from fedpact.errors import ContentError, ContentMissing, ContentUnavailable
from fedpact.exchange.messages import Kind, Message
from fedpact.exchange.submissions import HeldLists, Roll, Submission
from fedpact.provider.context import DutyResult, idle
from fedpact.provider.duties.large_rounds.part import JudgesPart
from fedpact.provider.duties.large_rounds.proposals import Spoilt
from fedpact.provider.duties.large_rounds.submitting import (
    forced_models,
    trainers_of,
)
from fedpact.provider.state.messages import LISTED
from fedpact.types.requests import mask_of, seats_of

log = logging.getLogger(__name__)

GATHERING = 0.1
"""Share of the commit window in which the first seat waits for all to say what they hold."""


class Picking(JudgesPart):
    """Says what this judge holds, and finds the list that all go by."""

    def listed(self) -> ModelList | DutyResult:
        """The list that this judge votes on."""
        view, known = self._view, self._view.ctx.cache.picked
        if self._at in known:
            return known[self._at]
        kept = self._kept(LISTED)
        if kept is not None:
            known[self._at] = ModelList.decode(kept)
            return known[self._at]
        forced = forced_models(view)
        if len(forced) != view.facts.forced:
            raise ContentMissing("not all forced models' events have been read yet")
        self._say_held()
        held, right = self._held_lists(), partial(self._acceptable, forced=forced)
        over = view.share_passed() > GATHERING and len(held) >= self._needed
        ready = over or len(held) == len(self._order)
        listed = self._proposals.settled(Kind.PICK, Kind.HELD, right, ready=ready)
        if listed is not None:
            return self._go_by(listed)
        if not (ready and self._proposals.may_propose(Kind.PICK, Kind.HELD)):
            return idle(f"{len(held)} judges' lists are here; waiting for that of the round")
        named = self._named(held)
        if not named and not forced:
            return idle("no trainer named a model")
        picked = ModelList.of(named, forced)
        self._publish(picked.encode())
        self._proposals.propose(Kind.PICK, picked.digest, mask_of(held).to_bytes(2))
        return idle(f"proposed a list of {len(picked.models)} models")

    def _go_by(self, listed: ModelList) -> ModelList:
        """Judge by a list for good, over a restart too: the vote is for it."""
        self._keep(LISTED, listed.encode())
        self._view.ctx.cache.picked[self._at] = listed
        return listed

    def _say_held(self) -> None:
        """Say for good which models came in time."""
        view = self._view
        if view.seat in self._talk.held(Kind.HELD):
            return
        assert view.ctx.exchange is not None
        models = view.ctx.exchange.models(self._at)
        own = ModelList.of(models, {}) if models else None
        if own is not None:
            self._publish(own.encode())
        self._talk.say(Kind.HELD, own.digest if own else bytes(32))

    def _held_lists(self) -> dict[int, list[Submission]]:
        """By seat: the models that each judge held, as far as its list is here."""
        found = {}
        for seat, message in self._talk.held(Kind.HELD).items():
            if seat in self._contradicting(Kind.HELD):
                continue
            try:
                found[seat] = self._held_list(message)
            except (ContentError, ContentUnavailable) as error:
                log.info("request %d, round %d: what seat %d holds: %s", *self._at, seat, error)
        return found

    def _held_list(self, message: Message) -> list[Submission]:
        digest = message.content
        return ModelList.decode(self._content(digest)).signed if any(digest) else []

    def _named(self, held: dict[int, list[Submission]]) -> dict[int, Submission]:
        """The models that follow from these lists, signed. Others may need to read the lists."""
        for seat in held:
            digest = self._talk.held(Kind.HELD)[seat].content
            if any(digest):
                self._publish(self._content(digest))
        picked = HeldLists(len(self._order), held.values()).picked()
        roll = Roll(trainers_of(self._view))
        for one in (model for models in held.values() for model in models):
            if picked.get(one.index) == one.content:
                roll.take([one])
        return roll.held

    def _acceptable(self, message: Message, forced: dict[int, bytes]) -> ModelList | None:
        """A list, if it follows from what judges held that a quorum of lists shows, trainers signed
        for it, and it has all that was forced in; None for another, or while one is looked for.
        Raises Spoilt for one that is malformed, or that a trainer has not signed for."""
        view, digest = self._view, message.content
        said, lying = self._talk.held(Kind.HELD), self._contradicting(Kind.HELD)
        seats = set(seats_of(int.from_bytes(message.more[1:])))
        if len(seats) < self._needed or not seats <= set(said):
            return None
        try:
            listed = self._list_of(digest)
            lists = [self._held_list(said[seat]) for seat in sorted(seats - lying)]
        except (ContentError, ContentUnavailable) as error:
            log.info("request %d, round %d: the list 0x%s: %s", *self._at, digest.hex(), error)
            return None
        found = listed.digests
        right = all(found.get(index) == one for index, one in forced.items())
        unsigned = {one.index for one in listed.models if not one.signature}
        held = HeldLists(len(self._order), lists, len(seats & lying))
        right &= unsigned == set(forced) and held.allow(listed.signed, unsigned)
        if not right:
            text = "request %d, round %d: not judging by the list 0x%s"
            log.warning(text, *self._at, digest.hex())
            return None
        if len(Roll(trainers_of(view)).take(listed.signed)) != len(listed.signed):
            raise Spoilt("a trainer has not signed for its model")
        for one in (digest, *(said[seat].content for seat in seats - lying)):
            if any(one):
                self._publish(self._content(one))  # whoever proposed it may show it to some alone
        return listed

    def _list_of(self, digest: bytes) -> ModelList:
        """Of a proposal. Raises ContentUnavailable, and Spoilt where it is malformed."""
        content = self._content(digest)
        try:
            return ModelList.decode(content)
        except ContentError as error:
            raise Spoilt(str(error)) from error
