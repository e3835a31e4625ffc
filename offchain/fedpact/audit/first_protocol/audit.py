"""An audit of one request of the first protocol: its events, then one item after the other."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from fedpact.audit.first_protocol.chain import ChainFacts
from fedpact.audit.first_protocol.evidence import Evidence, gather
from fedpact.audit.first_protocol.money import MoneyChecks
from fedpact.audit.first_protocol.protocol import ProtocolChecks
from fedpact.audit.first_protocol.resale import ResaleChecks
from fedpact.audit.first_protocol.retrieval import RetrievalChecks
from fedpact.audit.first_protocol.seats import SeatHistory, learning_checks
from fedpact.audit.report import AuditItem, AuditReport, look
from fedpact.chain.client import FirstClient
from fedpact.chain.scanner import EventScanner
from fedpact.content.store import ContentStore

if TYPE_CHECKING:
    from fedpact.chain.keystore import AccountKeys


def audit_first(
    client: FirstClient,
    store: ContentStore,
    request_id: int,
    keys: "AccountKeys | None" = None,
    *,
    confirmations: int = 0,
) -> AuditReport:
    """As `fedpact.audit.audit`. Raises UnknownRequest, NodeUnreachable."""
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
