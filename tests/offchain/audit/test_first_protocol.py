"""The audit of deployments of the first protocol, whose contracts are no longer made.

A recorded deployment (`tests/vectors/first_protocol`) holds four finished requests. The honest one
holds item by item; one falsified fact makes the item that is about it fail, whether the record or
the node is what lies.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from fedpact.audit import AuditReport, Verdict, audit
from fedpact.audit.first_protocol.audit import inspect
from fedpact.audit.first_protocol.chain import ChainFacts
from fedpact.audit.first_protocol.evidence import Evidence, gather
from fedpact.chain import deployment_file as deployments
from fedpact.chain.abi import FIRST, contract_abi
from fedpact.chain.client import FirstClient
from fedpact.chain.scanner import EventScanner
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.errors import AuditFailed, FedpactError, UnknownRequest
from fedpact.retrieval.search_record import LONGEST_RECORD, RetrievalRecord
from fedpact.types.cid import Cid
from tests.support.frozen_node import Recording, frozen_node
from tests.support.node_proxy import (
    Told,
    events_changed,
    events_hidden,
    node_in_front,
    view_changed,
)

HONEST, FAULTY, COLLUDING, CANCELLED = 1, 2, 3, 4
ROUNDS, MARKET, REGISTRY = "TrainingRounds", "SharingMarket", "ParticipantRegistry"
NEED_A_SEAL = {"request_key", "models", "scores", "aggregates", "global_errors"}


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording.read()


@pytest.fixture(scope="module")
def node(recording: Recording) -> Iterator[str]:
    with frozen_node(recording) as address:
        yield address


@pytest.fixture(scope="module")
def client(recording: Recording, node: str) -> Iterator[FirstClient]:
    connected = connect(recording, node)
    yield connected
    connected.close()


@pytest.fixture(scope="module")
def store(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> EmbeddedStore:
    filled = EmbeddedStore(tmp_path_factory.mktemp("content"))
    for content in recording.contents():
        filled.put(content)
    return filled


@pytest.fixture(scope="module")
def facts(client: FirstClient) -> ChainFacts:
    return ChainFacts(client, HONEST, client.frame())


@pytest.fixture(scope="module")
def original(client: FirstClient, facts: ChainFacts) -> Evidence:
    events = EventScanner(client, client.deployment.block).scan(facts.frame)
    return gather(HONEST, events)


@pytest.fixture
def evidence(original: Evidence) -> Evidence:
    return deepcopy(original)


def connect(recording: Recording, address: str) -> FirstClient:
    deployment = deployments.read(recording.deployment, "the recording")
    return FirstClient.connect(address, deployment)


def names(report: AuditReport, verdict: Verdict) -> set[str]:
    return {item.name for item in report.items if item.verdict is verdict}


# ---------------------------------------------------------------------- as it was


@pytest.mark.parametrize("role", ["auditor", "member"])
def test_an_honest_request_holds(
    client: FirstClient, store: EmbeddedStore, recording: Recording, role: str
) -> None:
    """Two rounds found by a search, delivered, paid, and sold once."""
    report = audit(client, store, HONEST, recording.keys(role))

    assert [item for item in report.items if item.verdict is not Verdict.HOLDS] == []
    assert len(report.items) == 26
    said = {item.name: item.detail for item in report.items}
    assert said["invited"] == "3 of 3 invited joined"
    assert said["retrieval_record"] == "found 3 in 3 messages"
    assert said["purchases"].startswith("sold 1 times")
    report.check()


def test_without_a_seal_the_models_are_unavailable_and_all_else_holds(
    client: FirstClient, store: EmbeddedStore
) -> None:
    report = audit(client, store, HONEST)

    assert names(report, Verdict.UNAVAILABLE) == NEED_A_SEAL
    assert report.failed == []


def test_missing_content_is_unavailable_not_wrong(client: FirstClient, tmp_path: Path) -> None:
    report = audit(client, EmbeddedStore(tmp_path), HONEST)

    assert {"specification_digest", "artefacts"} <= names(report, Verdict.UNAVAILABLE)
    assert report.failed == []


def test_votes_that_contradict_the_models_fail_the_scores(
    client: FirstClient, store: EmbeddedStore, recording: Recording
) -> None:
    """A model that nobody can open counts as invalid; one voter flatters another's."""
    report = audit(client, store, FAULTY, recording.keys("auditor"))

    assert names(report, Verdict.FAILS) == {"scores"}
    said = {item.name: item.detail for item in report.items}
    assert said["models"] == "2 models; 1 counted as invalid"


def test_a_made_up_aggregate_fails(
    client: FirstClient, store: EmbeddedStore, recording: Recording
) -> None:
    report = audit(client, store, COLLUDING, recording.keys("auditor"))

    assert names(report, Verdict.FAILS) == {"scores", "aggregates", "global_errors"}
    with pytest.raises(AuditFailed, match="scores"):
        report.check()


def test_a_cancelled_request_is_refunded(client: FirstClient, store: EmbeddedStore) -> None:
    report = audit(client, store, CANCELLED)

    assert report.failed == []
    assert {"refund", "conservation"} <= names(report, Verdict.HOLDS)


def test_a_request_that_there_is_not_is_unknown(client: FirstClient, store: EmbeddedStore) -> None:
    with pytest.raises(UnknownRequest):
        audit(client, store, 999)


# ---------------------------------------------------------------------- a falsified record


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


def invite_others(e: Evidence) -> None:
    e.seats[2] = (e.requester, 100)


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
    (invite_others, {"invited"}),
]


@pytest.mark.parametrize(("tamper", "expected"), CASES, ids=[case.__name__ for case, _ in CASES])
def test_the_items_concerned_fail(
    facts: ChainFacts,
    store: EmbeddedStore,
    recording: Recording,
    evidence: Evidence,
    tamper: Callable[[Evidence], None],
    expected: set[str],
) -> None:
    tamper(evidence)

    # What needs a seal is recomputed only where a case is about it.
    keys = recording.keys("auditor") if expected & NEED_A_SEAL else None
    items = inspect(evidence, facts, store, keys)

    failed = {item.name for item in items if item.verdict is Verdict.FAILS}
    assert expected <= failed, [f"{item.name}: {item.verdict}, {item.detail}" for item in items]
    always_sound = {"initial_model", "evaluation_slices", "request_key"}
    assert not failed & (always_sound - expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"deployment": "ab" * 32}, "another deployment"),
        ({"found": ()}, "not found by the search"),
    ],
)
def test_a_search_on_record_that_is_not_this_one_fails(
    facts: ChainFacts,
    store: EmbeddedStore,
    evidence: Evidence,
    changes: dict[str, object],
    message: str,
) -> None:
    [at] = [n for n, one in enumerate(evidence.resale) if one.name == "RetrievalRecorded"]
    event = evidence.resale[at]
    kept = store.get(Cid.of_digest(event.args["digest"], LONGEST_RECORD), LONGEST_RECORD)
    other = RetrievalRecord.decode(kept).model_copy(update=changes)
    digest = store.put(other.encode()).digest
    evidence.resale[at] = replace(event, args={**event.args, "digest": digest})

    items = inspect(evidence, facts, store, None)

    [said] = [item for item in items if item.name == "retrieval_record"]
    assert said.verdict is Verdict.FAILS
    assert message in said.detail


# ---------------------------------------------------------------------- a lying node


def topic(contract: str, name: str) -> str:
    return contract_abi(contract, FIRST).event_topic(name)


POINTS = contract_abi(ROUNDS, FIRST).functions["points"].selector


@pytest.mark.parametrize(
    ("told", "noticed"),
    [
        pytest.param(
            events_changed(topic(ROUNDS, "ModelSubmitted")), {"history"}, id="a submission"
        ),
        pytest.param(events_hidden(topic(ROUNDS, "Attested")), {"attestations"}, id="attestations"),
        pytest.param(view_changed(POINTS), {"faults"}, id="a view"),
    ],
)
def test_a_node_that_changes_or_hides_one_thing_is_noticed(
    recording: Recording, node: str, store: EmbeddedStore, told: Told, noticed: set[str]
) -> None:
    """Events and views must agree, and the running hash of the rounds with both."""
    with node_in_front(node, told=told) as address:
        client = connect(recording, address)
        report = audit(client, store, HONEST)
        client.close()

    assert noticed <= names(report, Verdict.FAILS)


@pytest.mark.parametrize(
    ("told", "error", "message"),
    [
        (events_hidden(topic(MARKET, "Joined")), AuditFailed, "nobody joined in a seat"),
        (
            events_changed(topic(MARKET, "Delivered")),
            FedpactError,
            "returned a Delivered in .* decoded",
        ),
    ],
    ids=["hidden", "damaged"],
)
def test_events_that_contradict_each_other_end_the_audit(
    recording: Recording,
    node: str,
    store: EmbeddedStore,
    told: Told,
    error: type[FedpactError],
    message: str,
) -> None:
    with node_in_front(node, told=told) as address:
        client = connect(recording, address)
        with pytest.raises(error, match=message):
            audit(client, store, HONEST)
        client.close()
