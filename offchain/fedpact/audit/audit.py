"""An audit of one request: gather the events, then check one item after the other."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from fedpact.audit.chain import ChainFacts
from fedpact.audit.evidence import Evidence, gather
from fedpact.audit.money import MoneyChecks
from fedpact.audit.protocol import ProtocolChecks
from fedpact.audit.report import AuditItem, AuditReport, look
from fedpact.audit.resale import ResaleChecks
from fedpact.audit.retrieval import RetrievalChecks
from fedpact.audit.seats import SeatHistory, learning_checks
from fedpact.audit.v2.audit import audit_v2
from fedpact.chain.client import AnyClient, ClientV2
from fedpact.chain.scanner import EventScanner
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

    Everything is read as of one block, by the protocol of the client's deployment. `keys` of an
    account to which the request's keys were sealed (a member, or an auditor named in the
    specification) open the models; without them those items are unavailable.
    Raises UnknownRequest, NodeUnreachable.
    """
    if isinstance(client, ClientV2):
        return audit_v2(client, store, request_id, keys, confirmations=confirmations)
    frame = client.frame(confirmations)
    events = EventScanner(client, client.deployment.block).scan(frame)
    evidence = gather(request_id, events)
    facts = ChainFacts(client, request_id, frame)
    items = inspect(evidence, facts, store, keys)
    return AuditReport(request_id, frame.block_number, items)


def inspect(
    evidence: Evidence, facts: ChainFacts, store: ContentStore, keys: "AccountKeys | None"
) -> tuple[AuditItem, ...]:
    """All checks of the evidence, in the order of a request's lifecycle."""
    protocol = ProtocolChecks(evidence, facts)
    learning = learning_checks(evidence, SeatHistory(evidence, facts, store, keys), store)
    money = MoneyChecks(evidence, facts)
    retrieval = RetrievalChecks(evidence, facts, store, learning.specification)
    resale = ResaleChecks(evidence, facts, learning.specification)
    checks: tuple[Callable[[], str], ...] = (
        learning.specification_digest,
        learning.initial_model,
        learning.evaluation_slices,
        retrieval.invited,
        retrieval.retrieval_record,
        protocol.submissions,
        protocol.commitments,
        protocol.medians,
        protocol.included,
        protocol.points,
        protocol.faults,
        protocol.leader_order,
        protocol.attestations,
        protocol.history,
        protocol.outcome,
        learning.artefacts,
        learning.request_key,
        learning.models,
        learning.scores,
        learning.aggregates,
        learning.global_errors,
        money.payments,
        money.refund,
        money.conservation,
        money.reputation,
        resale.purchases,
    )
    return tuple(look(check.__name__, check) for check in checks)
