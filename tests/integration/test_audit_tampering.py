"""What the audit says when one thing in a request's record is changed: the right item fails.

The contracts let none of this happen; a node that lies about events, or another implementation of
the contracts, might. Each case changes one fact of a real, finished request.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest

from fedpact.audit.audit import inspect
from fedpact.audit.chain import ChainFacts
from fedpact.audit.evidence import Evidence, gather
from fedpact.audit.report import Verdict
from fedpact.chain.scanner import EventScanner
from tests.support.committee import Committee, Market


@pytest.fixture(scope="module")
def facts(market: Market, finished: Committee) -> ChainFacts:
    return ChainFacts(market.client, finished.request_id, market.client.frame())


@pytest.fixture(scope="module")
def original(market: Market, finished: Committee, facts: ChainFacts) -> Evidence:
    events = EventScanner(market.client, market.client.deployment.block).scan(facts.frame)
    return gather(finished.request_id, events)


@pytest.fixture
def evidence(original: Evidence) -> Evidence:
    return deepcopy(original)


def change_max_error(e: Evidence) -> None:
    e.terms = replace(e.terms, max_error=e.terms.max_error - 500)


def change_manifest(e: Evidence) -> None:
    e.manifest = bytes(32)


def change_digest(e: Evidence) -> None:
    e.rounds[0].digests[1] = bytes(31) + b"\1"


def steal_submission(e: Evidence) -> None:
    e.rounds[0].owners[1] = e.rounds[0].owners[0]


def repeat_digest(e: Evidence) -> None:
    e.rounds[0].digests[1] = e.rounds[0].digests[0]


def change_commitment(e: Evidence) -> None:
    e.rounds[1].commitments[0] = bytes(32)


def change_vote(e: Evidence) -> None:
    # Seat 0's vote on seat 2, whose median of two moves by half of it, rounded up.
    vote = e.rounds[0].votes[0]
    e.rounds[0].votes[0] = replace(vote, word=vote.word + (100 << 28))


def change_median(e: Evidence) -> None:
    tally = e.rounds[0].tally
    assert tally is not None
    e.rounds[0].tally = replace(tally, medians=tally.medians + 1)


def change_included(e: Evidence) -> None:
    tally = e.rounds[0].tally
    assert tally is not None
    e.rounds[0].tally = replace(tally, included=tally.included & ~1)


def change_points(e: Evidence) -> None:
    tally = e.rounds[0].tally
    assert tally is not None
    e.rounds[0].tally = replace(tally, points=tally.points + 1)


def add_fault(e: Evidence) -> None:
    tally = e.rounds[0].tally
    assert tally is not None
    e.rounds[0].tally = replace(tally, faults=1)


def change_leader(e: Evidence) -> None:
    final = e.rounds[0].final
    assert final is not None
    e.rounds[0].final = replace(final, leader=(final.leader + 1) % 3)


def propose_early(e: Evidence) -> None:
    final = e.rounds[1].final
    assert final is not None
    e.rounds[1].final = replace(final, block=0)


def change_final_digest(e: Evidence) -> None:
    final = e.rounds[1].final
    assert final is not None
    e.rounds[1].final = replace(final, digest=bytes(32))


def change_approvals(e: Evidence) -> None:
    final = e.rounds[0].final
    assert final is not None
    e.rounds[0].final = replace(final, approvals=final.approvals & ~1)


def drop_attestations(e: Evidence) -> None:
    final = e.rounds[0].final
    assert final is not None
    e.rounds[0].attestations = {final.leader: e.rounds[0].attestations[final.leader]}
    e.rounds[0].final = replace(final, approvals=1 << final.leader)


def change_error(e: Evidence) -> None:
    final = e.rounds[0].final
    assert final is not None
    e.rounds[0].final = replace(final, mae=final.mae + 100)


def share_another_model(e: Evidence) -> None:
    assert e.shared is not None
    e.shared = {**e.shared, "finalDigest": bytes(32)}


def forget_a_contributor(e: Evidence) -> None:
    assert e.shared is not None
    e.shared = {**e.shared, "contributors": 3}


def hide_the_sharing(e: Evidence) -> None:
    e.shared = None


def hide_the_delivery(e: Evidence) -> None:
    e.deliveries = []


def overpay(e: Evidence) -> None:
    e.claims[0] += 1


def refund_too(e: Evidence) -> None:
    e.refunds = [1]


def record_better_quality(e: Evidence) -> None:
    [index] = [
        i
        for i, one in enumerate(e.outcomes)
        if one.account == e.seats[0][0] and one.tx_hash == e.settled_tx
    ]
    e.outcomes[index] = replace(e.outcomes[index], quality=9_999)


SEALED = {"models", "aggregates", "global_errors"}
"""Items that need a seal; they are recomputed only where a case is about them."""

CASES: list[tuple[Callable[[Evidence], None], set[str]]] = [
    (change_max_error, {"history", "specification_digest", "points"}),
    (change_manifest, {"history"}),
    (change_digest, {"history"}),
    (steal_submission, {"submissions", "models"}),
    (repeat_digest, {"submissions", "history"}),
    (change_commitment, {"commitments"}),
    (change_vote, {"commitments", "medians", "points", "history"}),
    (change_median, {"medians"}),
    (change_included, {"included"}),
    (change_points, {"points"}),
    (add_fault, {"faults"}),
    (change_leader, {"leader_order"}),
    (propose_early, {"leader_order"}),
    (change_final_digest, {"attestations", "aggregates", "outcome"}),
    (change_approvals, {"attestations"}),
    (drop_attestations, {"attestations"}),
    (change_error, {"attestations", "global_errors"}),
    (share_another_model, {"outcome"}),
    (forget_a_contributor, {"outcome"}),
    (hide_the_sharing, {"outcome"}),
    (hide_the_delivery, {"outcome"}),
    (overpay, {"payments", "conservation"}),
    (refund_too, {"refund", "conservation"}),
    (record_better_quality, {"reputation"}),
]


@pytest.mark.parametrize(("tamper", "expected"), CASES, ids=[case.__name__ for case, _ in CASES])
def test_the_items_concerned_fail(
    market: Market,
    facts: ChainFacts,
    evidence: Evidence,
    tamper: Callable[[Evidence], None],
    expected: set[str],
) -> None:
    tamper(evidence)

    keys = market.auditor if expected & SEALED else None
    items = inspect(evidence, facts, market.store, keys)

    failed = {item.name for item in items if item.verdict is Verdict.FAILS}
    assert expected <= failed, [f"{item.name}: {item.verdict}, {item.detail}" for item in items]
    always_sound = {"initial_model", "evaluation_slices", "request_key"}
    assert not failed & (always_sound - expected)


def test_the_untouched_record_holds(market: Market, facts: ChainFacts, evidence: Evidence) -> None:
    items = inspect(evidence, facts, market.store, market.auditor)

    assert [item for item in items if item.verdict is not Verdict.HOLDS] == []
