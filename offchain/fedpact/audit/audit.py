"""An audit of one request: gather the events, then check item after item."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from fedpact.audit.chain import Facts
from fedpact.audit.delivery import DeliveryChecks
from fedpact.audit.first_protocol.audit import audit_first
from fedpact.audit.large_rounds import (
    LargeAuditHistory,
    LargeChecks,
    LargeRoundsRead,
    trained_in,
)
from fedpact.audit.money import MoneyChecks
from fedpact.audit.pool import PoolChecks
from fedpact.audit.pool_history import PoolHistory, judged_rounds
from fedpact.audit.privacy import PrivacyChecks
from fedpact.audit.recomputing import LearningChecks
from fedpact.audit.report import AuditItem, AuditReport, look
from fedpact.audit.reputation import LedgerReplay
from fedpact.audit.request_events import Evidence, gather
from fedpact.audit.resale import ResaleChecks
from fedpact.audit.results import ResultChecks
from fedpact.audit.rounds import RoundChecks
from fedpact.audit.secure_sums import SumChecks
from fedpact.audit.signatures import SaidChecks
from fedpact.chain.client import AnyClient, ChainClient
from fedpact.chain.scanner import EventScanner
from fedpact.content.store import ContentStore
from fedpact.types.terms_match import require_agreement

if TYPE_CHECKING:
    from fedpact.chain.keystore import AccountKeys

Check = Callable[[], str]


def audit(
    client: AnyClient,
    store: ContentStore,
    request_id: int,
    keys: "AccountKeys | None" = None,
    *,
    confirmations: int = 0,
) -> AuditReport:
    """Recompute a request from nothing but the chain and the content store, by the protocol of its
    deployment.

    Everything is read as of one block. `keys` of an account to which the request's keys were sealed
    (a member, or an auditor named in the specification) open the models; without them those items
    are unavailable. Raises UnknownRequest, NodeUnreachable.
    """
    if not isinstance(client, ChainClient):
        return audit_first(client, store, request_id, keys, confirmations=confirmations)
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
    large = LargeRoundsRead(evidence, facts, pool, store)
    is_large, took_part = facts.deployment.is_large, None
    history: PoolHistory
    if is_large:
        history, took_part = LargeAuditHistory(large, store, keys), trained_in(large)
        judged = LargeChecks(large).judged
    else:
        history = PoolHistory(evidence, facts, pool, rounds, store, keys)
        judged = partial(judged_rounds, evidence, rounds)
    learning = LearningChecks(
        history,
        store,
        judged,
        evidence.terms.vote_band,
        lambda spec: require_agreement(spec, evidence.terms),
    )
    results = ResultChecks(evidence, facts, rounds, drawn=lambda: pool.drawn)
    delivery = DeliveryChecks(evidence, facts, history)
    money = MoneyChecks(evidence, facts, pool, ledger)
    privacy = PrivacyChecks(evidence, pool, rounds, history, took_part)
    resale = ResaleChecks(evidence, facts, pool, history, store, lambda: history.spec)
    of_rounds: tuple[Check, ...]
    if is_large:
        found = LargeChecks(large)
        of_rounds = (
            found.draws,
            pool.key_manifest,
            found.records,
            found.submissions,
            found.votes,
            found.points,
            found.finals,
            found.credits,
            results.gas_refunds,
            found.history,
            found.outcome,
        )
        sums: tuple[Check, ...] = ()
    else:
        said = SaidChecks(evidence, facts, rounds)
        of_rounds = (
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
        )
        sums = (SumChecks(history, judged).sums,)
    checks: tuple[Check, ...] = (
        learning.specification_digest,
        learning.initial_model,
        learning.evaluation_slices,
        pool.opt_ins,
        pool.invited,
        resale.retrieval_record,
        pool.starts,
        *of_rounds,
        privacy.privacy,
        learning.artefacts,
        learning.request_key,
        delivery.start_keys,
        learning.models,
        *sums,
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
