"""Checks of how a request's providers were found: who was invited, and by which search."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from fedpact.audit.first_protocol.evidence import Evidence
from fedpact.audit.report import require
from fedpact.audit.retrieval import check_record
from fedpact.content.store import ContentStore
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.audit.first_protocol.chain import ChainFacts


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
