"""Checks of how a request's providers were found: who was invited, and by which search."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fedpact.audit.evidence import Evidence
from fedpact.audit.report import require
from fedpact.content.store import ContentStore
from fedpact.retrieval.record import LONGEST_RECORD, RetrievalRecord
from fedpact.retrieval.signature import Signature
from fedpact.retrieval.signing import SignedSearch, signer
from fedpact.types.cid import Cid
from fedpact.types.deployment import Deployment
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.audit.chain import ChainFacts


class RetrievalChecks:
    """Whether providers joined as invited, and whether the record of the search is the requester's.

    The record does not show whether the answering daemons returned their best matches.
    """

    def __init__(
        self,
        evidence: Evidence,
        facts: "ChainFacts",
        store: ContentStore,
        specification: Callable[[], Specification],
    ) -> None:
        self._e = evidence
        self._facts = facts
        self._store = store
        self._specification = specification

    def invited(self) -> str:
        """If the specification names who is invited, nobody else joined."""
        named = set(self._specification().invited)
        if not named:
            return "open to all"
        joined = {account for account, _ in self._e.seats.values()}
        strangers = sorted(joined - named)
        require(not strangers, f"joined without being invited: {', '.join(strangers)}")
        return f"{len(joined)} of {len(named)} invited joined"

    def retrieval_record(self) -> str:
        """The requester signed the search on record for this deployment and for its query, and the
        search found everybody who was invited."""
        digests = [
            bytes(event.args["digest"])
            for event in self._e.resale
            if event.name == "RetrievalRecorded" and event.args["requester"] == self._e.requester
        ]
        if not digests:
            return "no search on record"
        invited = self._specification().invited
        return check_record(
            self._store, digests[-1], self._facts.deployment, self._e.requester, invited
        )


def check_record(
    store: ContentStore,
    digest: bytes,
    deployment: Deployment,
    requester: str,
    invited: Sequence[str],
) -> str:
    """What a search on record found; Broken unless the requester signed it for this deployment and
    for its query, and it found everybody who was invited. `digest`: of the record's CID."""
    content = store.get(Cid.of_digest(digest, LONGEST_RECORD), LONGEST_RECORD)
    record = RetrievalRecord.decode(content)
    search = SignedSearch.decode(bytes.fromhex(record.envelope))
    query = Signature.decode(bytes.fromhex(record.query))
    require(
        search.fingerprint == deployment.fingerprint
        and record.deployment == deployment.fingerprint.hex(),
        "the search on record is of another deployment",
    )
    require(search.queries == query.digest, "the search on record was for another query")
    require(
        signer(search, deployment) == search.requester == requester,
        f"the search on record is not signed by {requester}",
    )
    strangers = sorted(set(invited) - set(record.accounts))
    require(not strangers, f"invited, and not found by the search: {', '.join(strangers)}")
    return f"found {len(record.found)} in {record.messages} messages"
