"""A request from creation to audit, over a real chain and store, with members in one process."""

import json
from pathlib import Path

import numpy as np
import pytest

from fedpact.audit import AuditReport, Verdict, audit
from fedpact.errors import AuditFailed, DecryptionError, InvalidInput, NotReady, UnknownRequest
from fedpact.learning.artefact import Model
from fedpact.requester.fetch import card_paths
from fedpact.types.cid import Cid
from fedpact.types.rounds import RequestStatus
from fedpact.types.scores import INVALID, lane
from tests.support.committee import PAYMENT, Committee, Following, Market


def verdicts(report: AuditReport) -> dict[str, str]:
    return {item.name: item.verdict.value for item in report.items}


def test_an_honest_request_is_delivered_and_everything_holds(
    market: Market, finished: Committee
) -> None:
    report = audit(market.client, market.store, finished.request_id, market.auditor)

    assert [item for item in report.items if item.verdict is not Verdict.HOLDS] == []
    assert len(report.items) == 26
    report.check()


def test_without_a_seal_the_models_are_unavailable_and_all_else_holds(
    market: Market, finished: Committee
) -> None:
    report = audit(market.client, market.store, finished.request_id)

    sealed = {item.name for item in report.unavailable}
    assert sealed == {"request_key", "models", "scores", "aggregates", "global_errors"}
    assert report.failed == []


def test_a_member_can_audit_with_its_own_seal(market: Market, finished: Committee) -> None:
    report = audit(market.client, market.store, finished.request_id, market.providers[1])

    assert report.failed == []
    assert report.unavailable == []


def test_the_requester_fetches_and_uses_the_model(
    market: Market, finished: Committee, tmp_path: Path
) -> None:
    model = market.requester.fetch(finished.request_id, tmp_path / "model.safetensors")
    queries = tmp_path / "queries.npz"
    np.savez(queries, x=market.evaluation.x[:50] * 16)

    answers = market.requester.answer(model.path, queries)

    facts = json.loads((tmp_path / "model.json").read_text())
    assert facts["cid"] == model.cid
    assert facts["contributors"] == [keys.address for keys in market.providers]
    text, data = card_paths(model.path)
    card = json.loads(data.read_text())
    assert card["quality"]["examples"] == len(market.evaluation)
    assert card["provenance"]["rounds"][-1]["cid"] == model.cid
    assert sum(one["share"] for one in card["providers"]) == pytest.approx(1)
    assert len(card["provenance"]["milestones"]) >= 3
    assert card["provenance"]["specification"] in text.read_text()
    assert facts["round"] == 2
    right = [
        int(said) == label for said, label in zip(answers.labels, market.evaluation.y, strict=False)
    ]
    assert np.mean(right) > 0.6


def test_conservation_holds_to_the_wei(market: Market, finished: Committee) -> None:
    client, request_id = market.client, finished.request_id
    record = client.market.request(request_id)

    assert record.status is RequestStatus.DELIVERED
    assert client.market.refundable(request_id) == 0
    points, _ = client.rounds.points(request_id)
    paid = sum(PAYMENT * own // sum(points) for own in points)
    assert PAYMENT - paid < len(points)


def test_creating_again_after_a_crash_pays_once(market: Market) -> None:
    requester, draft = market.requester, market.draft(title="Paid once")
    first = requester.create(draft, market.evaluation, PAYMENT)
    # A crash between the transaction and the note that it is done.
    prepared = requester.prepare(draft, market.evaluation)
    pending = requester.pending_file(prepared)
    pending.write_text(json.dumps({"block": market.client.deployment.block}))

    again = requester.create(draft, market.evaluation, PAYMENT)

    assert again == first
    requester.cancel(first)
    assert requester.refund(first) == PAYMENT


def test_a_vote_that_strays_within_the_band_holds_and_is_named(market: Market) -> None:
    request_id = market.requester.create(
        market.draft(title="Strayed", rounds=1), market.evaluation, PAYMENT
    )
    committee = Committee(market, request_id)
    with Following(market, request_id):
        committee.join_and_start()
        committee.play_round(votes={2: lambda own: {seat: s + 40 for seat, s in own.items()}})
        committee.deliver()

    report = audit(market.client, market.store, request_id, market.auditor)

    assert report.failed == []
    [scores] = [item for item in report.items if item.name == "scores"]
    assert "seats [2]" in scores.detail


def test_votes_far_from_the_models_worth_fail_the_scores(market: Market) -> None:
    request_id = market.requester.create(
        market.draft(title="Collusion", rounds=1), market.evaluation, PAYMENT
    )
    committee = Committee(market, request_id)

    def flatter(own: dict[int, int]) -> dict[int, int]:
        return dict.fromkeys(own, 0)

    with Following(market, request_id):
        committee.join_and_start()
        committee.play_round(votes={0: flatter, 1: flatter, 2: flatter})
        committee.deliver()

    report = audit(market.client, market.store, request_id, market.auditor)

    assert [item.name for item in report.failed] == ["scores"]
    with pytest.raises(AuditFailed, match="scores"):
        report.check()


def test_a_model_that_nobody_can_open_counts_as_invalid(market: Market) -> None:
    request_id = market.requester.create(
        market.draft(title="Unpublished", rounds=1, max_error=9500), market.evaluation, PAYMENT
    )
    committee = Committee(market, request_id)
    with Following(market, request_id):
        committee.join_and_start()
        committee.play_round(publish=lambda seat: seat != 1)
        committee.deliver()

    report = audit(market.client, market.store, request_id, market.auditor)

    assert lane(committee.tallied()["medians"], 1) == INVALID
    assert report.failed == []
    assert market.client.rounds.points(request_id)[0][1] == 0


def test_a_colluding_committee_with_a_made_up_aggregate_fails_it(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = market.requester.create(
        market.draft(title="Made up", rounds=1), market.evaluation, PAYMENT
    )
    committee = Committee(market, request_id)

    def made_up(number: int) -> Model:
        model = committee.history.model(number, 0)
        assert model is not None
        return {name: tensor + 1 for name, tensor in model.items()}

    with monkeypatch.context() as patch:
        # The members deviate; the auditor has a replay of its own.
        patch.setattr(committee.replay, "aggregate", made_up)
        with Following(market, request_id):
            committee.join_and_start()
            committee.play_round()
            committee.deliver()

    report = audit(market.client, market.store, request_id, market.auditor)

    assert {item.name for item in report.failed} == {"aggregates", "global_errors"}


def test_missing_content_is_unavailable_not_wrong(market: Market, finished: Committee) -> None:
    sealed = committee_artefact(market, finished, round_number=1)
    data = market.store.get(sealed, 2**20)
    market.store.unpin(sealed)
    market.store.collect_garbage()
    try:
        report = audit(market.client, market.store, finished.request_id, market.auditor)
    finally:
        market.store.put(data)

    assert verdicts(report)["artefacts"] == "unavailable"
    assert report.failed == []


def test_a_wrong_delivered_key_is_reported_and_corrected_by_a_second_delivery(
    market: Market, tmp_path: Path
) -> None:
    request_id = market.requester.create(
        market.draft(title="Wrong key", rounds=1), market.evaluation, PAYMENT
    )
    committee = Committee(market, request_id)
    with Following(market, request_id):
        committee.join_and_start()
        committee.play_round()
        committee.deliver(key=bytes(range(32)))

    with pytest.raises(DecryptionError, match="deliver again"):
        market.requester.fetch(request_id, tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []
    committee.deliver()

    assert market.requester.fetch(request_id, tmp_path / "model.safetensors").path.exists()


def test_without_a_requester_valid_models_count_equal(market: Market) -> None:
    request_id = market.requester.create(
        market.draft(title="No slice", rounds=1), market.evaluation, PAYMENT
    )
    committee = Committee(market, request_id)
    committee.join_and_start()
    committee.play_round(follow=False)
    committee.deliver()

    points, _ = market.client.rounds.points(request_id)
    report = audit(market.client, market.store, request_id, market.auditor)

    assert report.failed == []
    assert max(points) - min(points) <= 500


def test_an_audit_of_a_running_request_leaves_the_end_open(market: Market) -> None:
    request_id = market.requester.create(
        market.draft(title="Running", rounds=1), market.evaluation, PAYMENT
    )

    report = audit(market.client, market.store, request_id, market.auditor)

    assert report.failed == []
    found = verdicts(report)
    assert found["history"] == "holds"
    assert found["outcome"] == "unavailable"
    assert found["refund"] == "unavailable"
    market.requester.cancel(request_id)


def test_unknown_and_foreign_requests_are_distinguished(market: Market) -> None:
    with pytest.raises(UnknownRequest):
        audit(market.client, market.store, 999)
    with pytest.raises(UnknownRequest):
        market.requester.status(999)


def test_nothing_can_be_fetched_before_the_delivery(market: Market) -> None:
    request_id = market.requester.create(
        market.draft(title="Early", rounds=1), market.evaluation, PAYMENT
    )
    with pytest.raises(NotReady, match="no model has been delivered"):
        market.requester.fetch(request_id)
    market.requester.cancel(request_id)


def test_an_auditor_that_is_not_registered_is_refused_before_anything_is_paid(
    market: Market,
) -> None:
    stranger = "0x" + "11" * 20
    before = market.client.market.request_count()
    with pytest.raises(InvalidInput, match="not an active participant"):
        market.requester.create(market.draft(auditors=[stranger]), market.evaluation, PAYMENT)
    assert market.client.market.request_count() == before


def committee_artefact(market: Market, committee: Committee, round_number: int) -> Cid:
    """The CID of a round's final global artefact."""
    topics = [None, f"0x{committee.request_id:064x}"]
    finals = [
        event.args
        for event in market.client.rounds.history(topics)
        if event.name == "RoundFinalised"
    ]
    return Cid.of_digest(finals[round_number - 1]["digest"], 1)
