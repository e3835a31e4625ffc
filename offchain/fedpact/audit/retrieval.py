"""Check of the search by which a request's providers were found."""

from collections.abc import Sequence

from fedpact.audit.report import require
from fedpact.content.store import ContentStore
from fedpact.retrieval.search_record import LONGEST_RECORD, RetrievalRecord
from fedpact.retrieval.signature import Signature
from fedpact.retrieval.signing import SignedSearch, signer
from fedpact.types.cid import Cid
from fedpact.types.deployment import Deployment


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
