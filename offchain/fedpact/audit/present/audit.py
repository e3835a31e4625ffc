"""An audit of one request: gather the events, then check item after item."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from fedpact.audit.learning import LearningChecks
from fedpact.audit.present.chain import Facts
from fedpact.audit.present.delivery import DeliveryChecks
from fedpact.audit.present.evidence import Evidence, gather
from fedpact.audit.present.history import PoolHistory, judged_rounds
from fedpact.audit.present.money import MoneyChecks
from fedpact.audit.present.pool import PoolChecks
from fedpact.audit.present.privacy import PrivacyChecks
from fedpact.audit.present.reputation import LedgerReplay
from fedpact.audit.present.resale import ResaleChecks
from fedpact.audit.present.results import ResultChecks
from fedpact.audit.present.rounds import RoundChecks
from fedpact.audit.present.said import SaidChecks
from fedpact.audit.present.sums import SumChecks
from fedpact.audit.report import AuditItem, AuditReport, look
from fedpact.chain.client import ChainClient
from fedpact.chain.scanner import EventScanner
from fedpact.content.store import ContentStore
from fedpact.types.agreement import require_agreement

if TYPE_CHECKING:
    from fedpact.chain.keystore import AccountKeys


def audit_present(
    client: ChainClient,
    store: ContentStore,
    request_id: int,
    keys: "AccountKeys | None",
    *,
    confirmations: int,
) -> AuditReport:
    """See `fedpact.audit.audit`."""
    frame = client.frame(confirmations)
    events = EventScanner(client, client.deployment.block).scan(frame)
    evidence = gather(request_id, events)
    items = inspect(evidence, Facts(client, request_id, frame), store, keys)
    return AuditReport(request_id, frame.block_number, items)


def inspect(
    evidence: Evidence, facts: Facts, store: ContentStore, keys: "AccountKeys | None"
) -> tuple[AuditItem, ...]:
    """All checks of the evidence, in the order of a request's lifecycle."""
    ledger = LedgerReplay(evidence.ledger)
    pool = PoolChecks(evidence, facts, ledger, store, lambda: history.spec)
    rounds = RoundChecks(evidence, facts, pool)
    history = PoolHistory(evidence, facts, pool, rounds, store, keys)
    learning = LearningChecks(
        history,
        store,
        lambda: judged_rounds(evidence, rounds),
        evidence.terms.vote_band,
        lambda spec: require_agreement(spec, evidence.terms),
    )
    said = SaidChecks(evidence, facts, rounds)
    results = ResultChecks(evidence, facts, rounds, drawn=lambda: pool.drawn)
    delivery = DeliveryChecks(evidence, facts, history)
    money = MoneyChecks(evidence, facts, pool, ledger)
    privacy = PrivacyChecks(evidence, pool, rounds, history)
    resale = ResaleChecks(evidence, facts, pool, history, store, lambda: history.spec)
    sums = SumChecks(history, lambda: judged_rounds(evidence, rounds))
    checks: tuple[Callable[[], str], ...] = (
        learning.specification_digest,
        learning.initial_model,
        learning.evaluation_slices,
        pool.opt_ins,
        pool.invited,
        resale.retrieval_record,
        pool.starts,
        pool.draws,
        pool.key_manifest,
        said.submissions,
        said.slices,
        said.commitments,
        said.attestations,
        said.records,
        results.medians,
        results.included,
        results.points,
        results.faults,
        results.finals,
        results.leader_order,
        results.credits,
        results.gas_refunds,
        results.history,
        results.outcome,
        privacy.privacy,
        learning.artefacts,
        learning.request_key,
        delivery.start_keys,
        learning.models,
        sums.sums,
        learning.scores,
        learning.aggregates,
        learning.global_errors,
        delivery.delivery,
        money.settlement,
        money.payments,
        money.refund,
        money.posters,
        money.conservation,
        money.reputation,
        money.requester_reputation,
        resale.purchases,
        resale.sold_keys,
    )
    return tuple(look(check.__name__, check) for check in checks)
