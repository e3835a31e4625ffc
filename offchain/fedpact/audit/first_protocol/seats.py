"""A request of the first protocol as the shared checks see it: members are known by their seats."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fedpact.audit.first_protocol.evidence import Evidence, RoundEvidence, Tally
from fedpact.audit.history import AuditedRequest, AuditHistory
from fedpact.audit.recomputing import Judged, LearningChecks
from fedpact.audit.report import Unavailable, require
from fedpact.chain.bindings.first_protocol.structs import Terms
from fedpact.content.store import ContentStore
from fedpact.types.cid import Cid
from fedpact.types.requests import seats_of
from fedpact.types.scores import lane
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.audit.first_protocol.chain import ChainFacts
    from fedpact.chain.keystore import AccountKeys


class SeatHistory(AuditHistory):
    """Of a request of the first protocol."""

    def __init__(
        self,
        evidence: Evidence,
        facts: "ChainFacts",
        store: ContentStore,
        keys: "AccountKeys | None",
    ) -> None:
        fingerprint = facts.deployment.fingerprint
        request = AuditedRequest(fingerprint, evidence.request_id, evidence.terms.specification)
        super().__init__(request, store, keys)
        self._evidence = evidence
        self._facts = facts

    def samples(self, seat: int) -> int:
        return self._evidence.seats[seat][1]

    def submitted(self, number: int) -> Sequence[int]:
        return sorted(self._round(number).digests)

    def valid(self, number: int) -> Sequence[int]:
        return seats_of(self._tally(number).valid)

    def included(self, number: int) -> Sequence[int]:
        return seats_of(self._tally(number).included)

    @property
    def _start(self) -> tuple[bytes, bytes]:
        if self._evidence.manifest is None or self._evidence.key_hash is None:
            raise Unavailable("the request has not started")
        return self._evidence.manifest, self._evidence.key_hash

    def _submission(self, number: int, seat: int) -> tuple[bytes, str]:
        one = self._round(number)
        return one.digests[seat], one.owners[seat]

    def _slice_key(self, number: int) -> bytes | None:
        manifest = self._round(number).slice_manifest
        return None if manifest is None else self._unsealed(manifest)

    def _key_version(self, account: str) -> int:
        return self._facts.key_version(account)

    def _round(self, number: int) -> RoundEvidence:
        return self._evidence.rounds[number - 1]

    def _tally(self, number: int) -> Tally:
        tally = self._round(number).tally
        if tally is None:
            raise Unavailable(f"round {number} was not tallied")
        return tally


def learning_checks(
    evidence: Evidence, history: SeatHistory, store: ContentStore
) -> LearningChecks:
    """The checks of what was learned in a request of the first protocol."""

    def agrees(spec: Specification) -> None:
        terms = evidence.terms
        require(
            terms_of(spec, terms.specification) == terms,
            "the terms on chain differ from the specification",
        )

    def rounds() -> list[Judged]:
        return [_judged(one) for one in evidence.rounds]

    return LearningChecks(history, store, rounds, evidence.terms.vote_band, agrees)


def terms_of(spec: Specification, digest: bytes) -> Terms:
    """The part of a specification that the contracts enforced; `digest`: that of its CID."""
    return Terms(
        specification=digest,
        evaluation=spec.evaluation_digest,
        initial_model=Cid.parse(spec.initial_model).digest,
        query_key=spec.query_key,
        max_error=spec.max_error,
        target=spec.target,
        max_rounds=spec.rounds,
        min_providers=spec.min_providers,
        max_providers=spec.max_providers,
        leader_rule=spec.chain_leader_rule,
        approval_rule=spec.chain_approval_rule,
        vote_band=spec.vote_band,
        join_window=spec.windows.join,
        start_window=spec.windows.start,
        submit_window=spec.windows.submit,
        commit_window=spec.windows.commit,
        reveal_window=spec.windows.reveal,
        propose_window=spec.windows.propose,
        deliver_window=spec.windows.deliver,
    )


def _judged(one: RoundEvidence) -> Judged:
    tally, final = one.tally, one.final
    valid = seats_of(tally.valid) if tally is not None else []
    return Judged(
        number=one.number,
        refused=len(one.digests) - len(valid) if tally is not None else 0,
        valid={seat: one.digests[seat] for seat in valid},
        medians={} if tally is None else {s: lane(tally.medians, s) for s in one.digests},
        votes={
            voter: {seat: lane(vote.word, seat) for seat in one.digests}
            for voter, vote in one.votes.items()
        },
        final=None if final is None else final.digest,
        error=0 if final is None else final.mae,
        reference=one.number,
        tallied=tally is not None,
    )
