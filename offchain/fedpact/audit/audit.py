"""An audit of one request, by the protocol of its deployment."""

from typing import TYPE_CHECKING

from fedpact.audit.first.audit import audit_first
from fedpact.audit.report import AuditReport
from fedpact.audit.second.audit import audit_second
from fedpact.chain.client import AnyClient, ChainClient
from fedpact.content.store import ContentStore

if TYPE_CHECKING:
    from fedpact.chain.keystore import AccountKeys


def audit(
    client: AnyClient,
    store: ContentStore,
    request_id: int,
    keys: "AccountKeys | None" = None,
    *,
    confirmations: int = 0,
) -> AuditReport:
    """Recompute a request from nothing but the chain and the content store.

    Everything is read as of one block. `keys` of an account to which the request's keys were sealed
    (a member, or an auditor named in the specification) open the models; without them those items
    are unavailable. Raises UnknownRequest, NodeUnreachable.
    """
    if isinstance(client, ChainClient):
        return audit_second(client, store, request_id, keys, confirmations=confirmations)
    return audit_first(client, store, request_id, keys, confirmations=confirmations)
