"""A request's history as a daemon knows it: from its cache and state, the chain and the store."""

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from fedpact.consensus.artefacts import model_cid, open_global, sealed_bytes
from fedpact.consensus.replay import Kept, Replay
from fedpact.consensus.scoring import ContributionRecord
from fedpact.content.keys import delivery_key
from fedpact.data.dataset import Dataset
from fedpact.errors import ContentError, ContentMissing, Retryable
from fedpact.learning.artefact import Model, decode
from fedpact.provider.context import RequestView
from fedpact.provider.reading import (
    digest_of,
    evaluation_slice,
    event_of,
    member_model,
    request_key,
    round_ref_of,
    specification_of,
    submitted_digests,
    template_of,
)
from fedpact.types.cid import Cid
from fedpact.types.rounds import seats_of
from fedpact.types.specification import Specification

log = logging.getLogger(__name__)


def replay_of(view: RequestView) -> Replay:
    """The replay of a request; what it keeps between rounds stays in the daemon's cache."""
    return Replay(DaemonHistory(view), view.ctx.cache.replays.setdefault(view.id, Kept()))


class DaemonHistory:
    """Everything is on chain and in the store, so a crash loses nothing; what this machine
    aggregated or scored itself, and what it fetched for the current rounds, is not asked for again.

    The current round's models are those that `voting.round_models` has fetched.
    """

    def __init__(self, view: RequestView) -> None:
        self._view = view

    @cached_property
    def spec(self) -> Specification:
        return specification_of(self._view)

    def initial_model(self) -> Model:
        view, at = self._view, (self._view.id, 0)
        if at not in view.ctx.cache.globals:
            template = template_of(self.spec)
            data = view.ctx.store.get(Cid.parse(self.spec.initial_model), template.bytes)
            view.ctx.cache.globals[at] = decode(data, template)
        return view.ctx.cache.globals[at]

    def samples(self, seat: int) -> int:
        return self._view.members[seat].samples

    def submitted(self, number: int) -> Sequence[int]:
        if number == self._view.round:
            return seats_of(self._view.state.submitted)
        return sorted(submitted_digests(self._view, number))

    def valid(self, number: int) -> Sequence[int]:
        return seats_of(self._tally(number)["valid"])

    def included(self, number: int) -> Sequence[int]:
        return seats_of(self._tally(number)["included"])

    def model(self, number: int, seat: int) -> Model | None:
        view = self._view
        models = view.ctx.cache.models.get((view.id, number), {})
        if number == view.round and seat not in models:
            raise ContentMissing(f"request {view.id}: the model of seat {seat} is not fetched yet")
        known = models.get(seat)
        if known is not None or number == view.round:
            return known
        return member_model(view, number, seat, submitted_digests(view, number)[seat])

    def published(self, number: int) -> Mapping[int, Model]:
        """Without models that are unavailable by now, which only makes the scores milder."""
        found = {}
        for seat in self.valid(number):
            try:
                model = self.model(number, seat)
            except Retryable as error:
                log.warning("request %d, round %d, seat %d: %s", self._view.id, number, seat, error)
                continue
            if model is not None:
                found[seat] = model
        return found

    def evaluation(self, number: int) -> Dataset | None:
        try:
            return evaluation_slice(self._view, number)
        except ContentError as error:
            log.warning(
                "request %d, round %d: no evaluation slice: %s", self._view.id, number, error
            )
            return None

    def final_model(self, number: int) -> Model:
        """This daemon's own aggregate if it is the one on chain, else the fetched one."""
        view, at = self._view, (self._view.id, number)
        cache = view.ctx.cache
        digest = digest_of(event_of(view, "RoundFinalised", number)["digest"])
        if at in cache.globals and cache.proposals.get(at) == digest:
            return cache.globals[at]
        template = template_of(self.spec)
        sealed = view.ctx.store.get(model_cid(template, digest), sealed_bytes(template))
        round_ref = round_ref_of(view, number)
        key = delivery_key(request_key(view), round_ref.fingerprint, view.id, number)
        cache.globals[at] = open_global(sealed, key, round_ref, template)
        cache.proposals[at] = digest
        return cache.globals[at]

    def record(self, number: int) -> ContributionRecord | None:
        vote = self._view.ctx.state.vote(self._view.id, number)
        return ContributionRecord.from_json(vote.record) if vote else None

    def _tally(self, number: int) -> Mapping[str, Any]:
        if number not in self._tallies:
            raise ContentMissing(
                f"request {self._view.id}: the tally of round {number} has not been read yet"
            )
        return self._tallies[number]

    @cached_property
    def _tallies(self) -> dict[int, dict[str, Any]]:
        events = self._view.ctx.state.events(self._view.id, "RoundTallied")
        return {event["round"]: event for event in events}
