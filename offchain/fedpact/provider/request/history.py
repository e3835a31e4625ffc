"""A request's history as a daemon knows it.

Members are known by their pool index: a seat may be another member's in the next round. Rounds that
nobody could judge, and rounds that did not become final, leave no scores behind.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from fedpact.chain.signed_messages import Board
from fedpact.consensus import large_rounds
from fedpact.consensus.artefacts import SLICE_MAX_BYTES, model_cid, open_global, sealed_bytes
from fedpact.consensus.committee_evidence import (
    EVIDENCE_MAX_BYTES,
    CommitteeEvidence,
    JudgedRound,
    evidence_cid,
    parts_of,
    read_round,
)
from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.consensus.large_rounds import LargeBoard
from fedpact.consensus.proof_of_quality import judge
from fedpact.consensus.replay import Replay, ReplayCache
from fedpact.content.keys import delivery_key
from fedpact.data.dataset import Dataset
from fedpact.errors import ContentError, ContentMissing, ContentSought, ContentUnavailable
from fedpact.learning.artefact import Model, decode
from fedpact.provider.context import Cohort
from fedpact.provider.request.reading import (
    counted_digests,
    evaluation_slice,
    fetched,
    look_for,
    member_model,
    own_part,
    posted_record,
    request_key,
    round_ref_of,
    sealed_slice_key,
    specification_of,
    template_of,
)
from fedpact.provider.request.secure_sums import member_sum, summed_model
from fedpact.provider.request.view import LargeView, RequestView, digest_of, large_posted
from fedpact.types.cid import Cid
from fedpact.types.requests import seats_of
from fedpact.types.scores import MAX_SCORE, lane
from fedpact.types.specification import JudgedOn, Specification

log = logging.getLogger(__name__)


class DaemonHistory:
    """Everything is on chain and in the store, so a crash loses nothing; what this machine
    aggregated or scored itself, and what it fetched for the current rounds, is not asked for again.

    The current round's models are those that `voting.round_models` has fetched. Nothing here waits
    for content: what is still looked for raises ContentSought.
    """

    def __init__(self, view: RequestView) -> None:
        self._view = view
        self._boards: dict[int, tuple[Board, bool] | None] = {}

    @cached_property
    def spec(self) -> Specification:
        return specification_of(self._view)

    def initial_model(self) -> Model:
        view, at = self._view, (self._view.id, 0)
        if at not in view.ctx.cache.globals:
            template = template_of(self.spec)
            cid = Cid.parse(self.spec.initial_model)
            data = fetched(view, cid, template.bytes, "first model")
            view.ctx.cache.globals[at] = decode(data, template)
        return view.ctx.cache.globals[at]

    def samples(self, seat: int) -> int:
        return self._view.pool[seat].samples

    def submitted(self, number: int) -> Sequence[int]:
        return sorted(self.digests(number))

    def valid(self, number: int) -> Sequence[int]:
        found = self.board(number)
        if found is None:
            return ()
        board, is_blind = found
        if is_blind:
            return self._opening(number)
        cohort = self._view.cohort_in(number)
        return sorted(
            index
            for seat, index in enumerate(cohort.indices)
            if lane(board.medians, seat) <= MAX_SCORE
        )

    def included(self, number: int) -> Sequence[int]:
        found = self.board(number)
        if found is None:
            return ()
        board, is_blind = found
        if is_blind:
            return self._opening(number)
        return sorted(self._view.cohort_in(number).indices_of(board.included))

    def model(self, number: int, seat: int) -> Model | None:
        view = self._view
        models = view.ctx.cache.models.setdefault((view.id, number), {})
        if seat not in models:
            if number == view.round:
                raise ContentMissing(f"request {view.id}: the model of {seat} is not fetched yet")
            models[seat] = self.fetched(number, seat, self.digests(number)[seat])
        return models[seat]

    def fetched(self, number: int, seat: int, digest: bytes) -> Model | None:
        """A member's model, or under a secure sum that of its group; None where what it submitted
        is no such thing. Raises ContentUnavailable as `reading.fetched`."""
        if self.spec.privacy.sum is None:
            return member_model(self._view, number, seat, digest)
        start = self.final_model(number - 1)
        return summed_model(self._view, number, seat, digest, start)

    def look_for(self, number: int) -> None:
        """Begin to look for what an earlier round is scored with and is not here: its models, its
        slice if it was opened, the global model after it."""
        view, at = self._view, (self._view.id, number)
        look_for(view, self._not_here(number))
        if at not in view.ctx.cache.slices and sealed_slice_key(view, number) is not None:
            cid = Cid.parse(self.spec.evaluation[number - 1].cid)
            view.ctx.fetching.begin(view.id, cid, SLICE_MAX_BYTES)
        final = self._final_not_here(number)
        if final is not None:
            template = template_of(self.spec)
            view.ctx.fetching.begin(view.id, model_cid(template, final), sealed_bytes(template))

    def bytes_to_read(self, number: int) -> int:
        """Of an earlier round's models, local and global, that are not here, at most."""
        models = len(self._not_here(number)) + (self._final_not_here(number) is not None)
        return models * sealed_bytes(template_of(self.spec))

    def _not_here(self, number: int) -> list[bytes]:
        """Digests of a round's local models that have not been read."""
        models = self._view.ctx.cache.models.get((self._view.id, number), {})
        return [one for index, one in self.digests(number).items() if index not in models]

    def _final_not_here(self, number: int) -> bytes | None:
        """Digest of the global model after a round, if there is one and it has not been read."""
        finalised = self._view.events("RoundFinalised", number)
        if not finalised or (self._view.id, number) in self._view.ctx.cache.globals:
            return None
        return digest_of(finalised[-1]["digest"])

    def summed(self, number: int, seat: int) -> Sequence[int]:
        """See `replay.Summed`."""
        found = member_sum(self._view, number, seat, self.digests(number)[seat])
        cohort = self._view.cohort_in(number)
        return () if found is None else found.indices(cohort.indices)

    def published(self, number: int) -> Mapping[int, Model]:
        """Without models that are unavailable by now, which only makes the scores milder."""
        return self._opened(number, self.valid(number))

    def evaluation(self, number: int) -> Dataset | None:
        try:
            part = evaluation_slice(self._view, number)
        except ContentError as error:
            log.warning(
                "request %d, round %d: no evaluation slice: %s", self._view.id, number, error
            )
            return None
        own = self.spec.judged_on is JudgedOn.OWN_RECORDS
        return own_part(self._view) if own and part is not None else part

    def final_model(self, number: int) -> Model:
        """This daemon's own aggregate if it is the one on chain, else the fetched one. A round that
        did not become final leaves the model as it was."""
        view, at = self._view, (self._view.id, number)
        cache = view.ctx.cache
        if number == 0:
            return self.initial_model()
        finalised = view.events("RoundFinalised", number)
        if not finalised:
            if not view.events("RoundFailed", number):
                raise ContentMissing(f"request {view.id}: the end of round {number} is not read")
            return self.final_model(number - 1)
        digest = digest_of(finalised[-1]["digest"])
        if at in cache.globals and cache.global_digests.get(at) == digest:
            return cache.globals[at]
        template = template_of(self.spec)
        cid, what = model_cid(template, digest), f"global model of round {number}"
        sealed = fetched(view, cid, sealed_bytes(template), what)
        # The k-th final model is sealed under the k-th delivery key, whatever its round.
        count = sum(one["round"] <= number for one in view.events("RoundFinalised"))
        key = global_key(view, count)
        cache.globals[at] = open_global(sealed, key, round_ref_of(view, count), template)
        cache.global_digests[at] = digest
        return cache.globals[at]

    def record(self, number: int) -> ContributionRecord | None:
        if number == 0:
            return ContributionRecord()
        found = self.board(number) if number < self._view.round else None
        if number < self._view.round and (found is None or found[1]):
            return self.record(number - 1)
        vote = self._view.ctx.state.vote(self._view.id, number)
        if vote is not None and vote.scores:
            return ContributionRecord.from_json(vote.record)
        return self._view.ctx.cache.records.get((self._view.id, number))

    def board(self, number: int) -> tuple[Board, bool] | None:
        """What the tally of a round found, and whether it was blind; None if there was none."""
        if number not in self._boards:
            self._boards[number] = self._tallied(number)
        return self._boards[number]

    def _tallied(self, number: int) -> tuple[Board, bool] | None:
        view = self._view
        tallied = view.events("RoundTallied", number)
        if tallied:
            event = tallied[-1]
            return Board(**event["board"]), bool(event["blind"])
        record = posted_record(view, number)
        if record is not None:
            mask = view.event("RoundPosted", number)["mask"]
            votes = dict(zip(seats_of(mask), record.votes, strict=True))
            return judge(votes, mask, view.terms.max_error, view.terms.vote_band)
        if number == view.round and (view.id, number) in view.ctx.cache.agreed:
            return view.ctx.cache.agreed[(view.id, number)], False
        if number < view.round and view.events("RoundFailed", number):
            return None
        raise ContentMissing(
            f"request {view.id}: the tally of round {number} has not been read yet"
        )

    def _opening(self, number: int) -> Sequence[int]:
        """Members whose model of a blind round opens: nobody has judged them."""
        return sorted(self._opened(number, self.submitted(number)))

    def _opened(self, number: int, seats: Sequence[int]) -> dict[int, Model]:
        """The models of a round that open; of an earlier one without those that are nowhere."""
        view, found = self._view, {}
        if number != view.round:
            known, digests = view.ctx.cache.models.get((view.id, number), {}), self.digests(number)
            look_for(view, [digests[seat] for seat in seats if seat not in known])
        for seat in seats:
            try:
                model = self.model(number, seat)
            except ContentSought:
                raise
            except ContentUnavailable as error:
                if number == view.round:
                    raise
                log.warning("request %d, round %d, seat %d: %s", view.id, number, seat, error)
                continue
            if model is not None:
                found[seat] = model
        return found

    def digests(self, number: int) -> dict[int, bytes]:
        """By pool index, of the models that count."""
        cohort = self._view.cohort_in(number)
        digests = counted_digests(self._view, number)
        return {cohort.indices[seat]: one for seat, one in digests.items()}


class LargeHistory(DaemonHistory):
    """Of large rounds: what their models and votes were is in their evidence. Where that is
    nowhere, a round leaves its global model behind, and nothing else."""

    _view: LargeView

    def valid(self, number: int) -> Sequence[int]:
        found = self._board(number)
        if found is None:
            return ()
        return self._opening(number) if found.blind else found.valid

    def included(self, number: int) -> Sequence[int]:
        found = self._board(number)
        if found is None:
            return ()
        return self._opening(number) if found.blind else found.included

    def _opening(self, number: int) -> Sequence[int]:
        """As the evidence says it: a model may open for some judges alone."""
        at = (self._view.id, number)
        known = self._view.ctx.cache.judged
        found = known[at] if number == self._view.round else judged_round(self._view, number)
        return () if found is None else found.opened

    def record(self, number: int) -> ContributionRecord | None:
        if number == 0:
            return ContributionRecord()
        found = self._board(number) if number < self._view.round else None
        if number < self._view.round and (found is None or found.blind):
            return self.record(number - 1)
        return self._view.ctx.cache.records.get((self._view.id, number))

    def digests(self, number: int) -> dict[int, bytes]:
        """In the present round those that this judge votes on."""
        view = self._view
        if number == view.round:
            picked = view.ctx.cache.picked.get((view.id, number))
            return {} if picked is None else picked.digests
        found = judged_round(view, number)
        return {} if found is None else found.listed.digests

    def look_for(self, number: int) -> None:
        judged_round(self._view, number)
        super().look_for(number)

    def _board(self, number: int) -> LargeBoard | None:
        view, at = self._view, (self._view.id, number)
        if number == view.round:
            if at not in view.ctx.cache.boards:
                raise ContentMissing(f"request {view.id}: round {number} is not judged yet")
            return view.ctx.cache.boards[at]
        found = judged_round(view, number)
        if found is not None and at not in view.ctx.cache.boards:
            view.ctx.cache.boards[at] = board_of(view, found, view.cohort_in(number))
        return view.ctx.cache.boards.get(at)


def history_of(view: RequestView) -> DaemonHistory:
    """What this daemon knows of a request's rounds, of either kind."""
    return LargeHistory(view) if isinstance(view, LargeView) else DaemonHistory(view)


def replay_of(view: RequestView) -> Replay:
    """The replay of a request; what it keeps between rounds stays in the daemon's cache."""
    history = history_of(view)
    kept = view.ctx.cache.replays.setdefault(view.id, ReplayCache())
    return Replay(history, kept, history.summed, lenient=True)


def board_of(view: LargeView, found: JudgedRound, cohort: Cohort) -> LargeBoard:
    """What the votes of a large round come to."""
    terms = view.terms
    return large_rounds.judge(
        found.votes,
        found.listed.digests,
        cohort.indices,
        len(view.pool),
        terms.max_error,
        terms.vote_band,
    )


def judged_round(view: LargeView, number: int) -> JudgedRound | None:
    """What an earlier round's points follow from; None where nobody posted it, or its evidence is
    nowhere or malformed. Raises ContentSought while it is looked for."""
    known, at = view.ctx.cache.judged, (view.id, number)
    if at not in known:
        posted = view.events("RoundPosted", number)
        if not posted and not view.events("RoundFailed", number):
            raise ContentMissing(f"request {view.id}: the end of round {number} is not read")
        try:
            known[at] = evidence_at(view, posted[-1]) if posted else None
        except ContentSought as error:
            if not error.again:
                raise
            _without_evidence(view, number, error)
            known[at] = None
        except (ContentError, ContentMissing) as error:
            _without_evidence(view, number, error)
            known[at] = None
    return known[at]


def _without_evidence(view: LargeView, number: int, error: Exception) -> None:
    log.warning("request %d, round %d: no evidence: %s", view.id, number, error)


def evidence_at(view: LargeView, posted: Mapping[str, Any]) -> JudgedRound:
    """What a posted round's points follow from, of the event that tells of it. Raises as
    `fetched`, and ContentError where it is malformed."""
    record = large_posted(view.ctx, view.id, posted)
    evidence = CommitteeEvidence.decode(evidence_content(view, record.evidence))
    for digest in parts_of(evidence):
        view.ctx.fetching.begin(view.id, evidence_cid(digest), EVIDENCE_MAX_BYTES)
    return read_round(evidence, lambda digest: evidence_content(view, digest))


def evidence_content(view: LargeView, digest: bytes) -> bytes:
    """CommitteeEvidence by its digest, read once in a round. Raises as `fetched`."""
    known, at = view.ctx.cache.evidence, (view.id, view.round, digest)
    if at not in known:
        known[at] = fetched(view, evidence_cid(digest), EVIDENCE_MAX_BYTES, "evidence")
    return known[at]


def global_key(view: RequestView, final_rounds: int) -> bytes:
    """The key of the global model after so many final rounds."""
    return delivery_key(request_key(view), view.ctx.deployment.fingerprint, view.id, final_rounds)
