"""What a requester reads of large rounds: on chain are hashes and points, in the store the rest."""

from __future__ import annotations

from collections.abc import Callable

from fedpact.chain.bindings.events import CommitteeDrawn, RoundPosted
from fedpact.consensus.committee_evidence import (
    EVIDENCE_MAX_BYTES,
    CommitteeEvidence,
    evidence_cid,
    read_round,
)
from fedpact.consensus.large_rounds import LargeBoard, judge
from fedpact.content.store import ContentStore
from fedpact.errors import ContentMissing
from fedpact.requester.request_view import RequestLook

Reading = Callable[[ContentStore], tuple[LargeBoard, set[int]]]
"""What the votes of a round come to, and who named a model, by pool index. Raises what the store
raises, and ContentError for evidence that is malformed."""


def reading_of(look: RequestLook, round_: int) -> Reading:
    """Reads a posted round's evidence, in any thread. ContentMissing where the node does not tell
    its record."""
    [posted] = [one for one in look.events(RoundPosted) if one.round == round_][-1:]
    record = look.client.large.posted_record(posted.at.tx_hash, posted.record)
    if record is None:
        raise ContentMissing(
            f"request {look.request_id}: the node does not know the transaction that posted round"
            f" {round_}"
        )
    seed = [one.seed for one in look.events(CommitteeDrawn) if one.round == round_][-1]
    judges, _ = look.client.pool.cohort_of(look.request_id, seed, look.frame)
    members, terms = look.client.pool.count(look.request_id, look.frame), look.terms
    named = record.evidence

    def read(store: ContentStore) -> tuple[LargeBoard, set[int]]:
        def part(digest: bytes) -> bytes:
            return store.get(evidence_cid(digest), EVIDENCE_MAX_BYTES)

        found = read_round(CommitteeEvidence.decode(part(named)), part)
        models = found.listed.digests
        given = (found.votes, models, judges, members, terms.max_error, terms.vote_band)
        return judge(*given), set(models)

    return read
