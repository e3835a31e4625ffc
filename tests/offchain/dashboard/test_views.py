"""Views over events that a test writes: who was paid, who was not, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fedpact.chain.bindings.events import (
    Equivocated,
    KeySealed,
    Paid,
    PurchaseRefunded,
    RequestEvent,
    ResaleClaimed,
    ResaleOffered,
    ResultBought,
    ResultSold,
    RoundsEnded,
    Settled,
    VotesCommitted,
)
from fedpact.chain.node import Node
from fedpact.chain.records import Event
from fedpact.dashboard.index.reading import DescribedRequest, ListedPayment, Transaction
from fedpact.dashboard.index.summary import summarise
from fedpact.dashboard.story import ClosedPool, RequestStage, RequestStory
from fedpact.dashboard.views.member import member_view
from fedpact.dashboard.views.money import money_view
from fedpact.dashboard.views.network import node_rows
from fedpact.dashboard.views.own_provider import DaemonRow, OwnSources, own_view
from fedpact.dashboard.views.participant import (
    ParticipantSources,
    ParticipantView,
    earnings_chart,
    participant_view,
)
from fedpact.dashboard.views.request import Sources, request_view
from fedpact.dashboard.views.rounds import round_views
from fedpact.errors import InvalidInput
from fedpact.privacy.lifetime_budget import PrivacyLimit, Spend
from fedpact.privacy.releases import GaussianRelease
from fedpact.provider.read_only import LedgerLook, LedgerRelease
from fedpact.types.participants import Participant, ParticipantStatus
from fedpact.types.requests import ETHER, MessageKind, Phase, RoundFacts
from fedpact.types.scores import INVALID
from tests.offchain.dashboard.told_events import (
    ACCOUNTS,
    GOOD,
    POOL,
    TERMS,
    at,
    make_facts,
    round_of,
    story,
    votes,
)

UNKNOWN = DescribedRequest("bafk", None, "nobody holds it")


def of(one: RequestStory, facts: RoundFacts | None = None) -> Sources:
    return Sources(one, UNKNOWN, facts)


def test_all_are_paid_and_nothing_needs_explaining() -> None:
    [view] = round_views(story(*round_of(0b1111, votes(*GOOD))))
    assert [seat.why for seat in view.seats] == [""] * 4
    assert all(seat.points for seat in view.seats)
    assert [seat.account for seat in view.seats] == ACCOUNTS


@pytest.mark.parametrize(
    ("events", "seat", "why"),
    [
        (round_of(0b0111, votes(*GOOD[:3])), 3, "it revealed no vote"),
        (
            round_of(0b0111, votes((0, 900, 950, 0), (900, 0, 940, 0), (910, 905, 0, 0)), 0b0111),
            3,
            "it submitted no model",
        ),
        (
            round_of(
                0b1111,
                votes(
                    (0, 900, 950, INVALID),
                    (900, 0, 940, INVALID),
                    (910, 905, 0, INVALID),
                    (905, 900, 945, 0),
                ),
            ),
            3,
            "its model could not be scored",
        ),
        (
            round_of(0b1111, votes(*GOOD[:3], (3_000, 3_000, 3_000, 0))),
            3,
            "most of its votes were outside the band around the medians",
        ),
    ],
)
def test_why_a_seat_was_not_paid(events: list[RequestEvent], seat: int, why: str) -> None:
    [view] = round_views(story(*events))
    assert view.seats[seat].why == why
    assert view.seats[seat].points == 0
    assert [one.why for one in view.seats if one.seat != seat] == [""] * 3


def test_votes_outside_the_band_are_marked() -> None:
    rows = [list(row) for row in GOOD]
    rows[1][3] = 1_500
    [view] = round_views(story(*round_of(0b1111, votes(*rows))))
    assert view.votes is not None
    marked = [
        (row.seat, model)
        for row in view.votes.rows
        for model, cell in zip(view.votes.models, row.cells, strict=True)
        if cell.outside
    ]
    assert marked == [(1, 3)]


def test_what_comes_in_is_what_went_out_and_what_is_held() -> None:
    paid = [Paid(at(20), 1, one, ETHER, 10**17 + n, False) for n, one in enumerate(ACCOUNTS)]
    view = money_view(story(*round_of(0b1111, votes(*GOOD)), *paid))
    received = sum(one.amount for one in view.received)
    assert received == TERMS.pay + TERMS.gas_budget
    assert received == sum(one.amount for one in (*view.sent, *view.held))
    assert not view.settled


def test_a_card_names_who_made_the_model() -> None:
    rows = votes(*GOOD[:3])
    view = request_view(of(story(*round_of(0b0111, rows, 0b0111))))
    assert view.card is not None
    shown = {one.name: one.value for one in view.card.facts}
    assert [one.split()[0] for one in shown["From the models of seats"].split(", ")] == [*"012"]
    assert shown["Error, as voted"] == "0.0800"
    assert shown["Made in"] == "round 1: 3 of 4 seats' models combined"
    assert all(one.transaction for one in view.card.facts[:4])
    assert request_view(of(story())).card is None


def test_sums_of_a_member_are_beside_their_parts() -> None:
    """Each point by the transaction that credited it, each amount by the one that paid it."""
    paid = Paid(at(20), 1, ACCOUNTS[2], ETHER, 0, False)
    events = [*round_of(0b0111, votes(*GOOD[:3])), RoundsEnded(at(19), 1, 1, True, 1)]
    before = request_view(of(story(*events)))
    share = before.members[2].share
    assert share
    assert before.members[2].share_transaction == ""
    sent = {at(11).tx_hash: Transaction(at(11).tx_hash, 11, ACCOUNTS[2], "submit", 500, 7)}
    told = story(*events, replace(paid, amount=share))
    view = member_view(request_view(replace(of(told), transactions=sent)), ACCOUNTS[2])
    assert view.member.share_transaction == at(20).tx_hash
    assert [(one.amount, one.transaction) for one in view.payments] == [(share, at(20).tx_hash)]
    assert sum(one.points or 0 for one in view.rounds) == view.member.points
    assert [one.credit_transaction for one in view.rounds] == [at(15).tx_hash]
    assert [one.tally_transaction for one in view.rounds] == [at(13).tx_hash]
    assert [(one.gas, one.fee, one.transaction) for one in view.sent] == [(500, 7, at(11).tx_hash)]
    assert view.all_points == sum(one.points for one in before.members)
    with pytest.raises(InvalidInput, match="is not a member of request 1"):
        member_view(before, "0x" + "8" * 40)


COMMITTED = VotesCommitted(at(12), 1, 1, 0b0111, (bytes(32),) * 3)
CAUGHT = Equivocated(at(12), 1, 1, 3, MessageKind.MODEL)


@pytest.mark.parametrize(
    ("phase", "submitted", "then", "began", "counts_from"),
    [
        (Phase.SUBMIT, 0b0111, (), 10, 10),
        (Phase.COMMIT, 0b1111, (), 11, 11),
        # Seat 3 is silent: its window ran out.
        (Phase.COMMIT, 0b0111, (), 10 + TERMS.submit_window, 10),
        # Nobody waits for seat 3 once it is caught.
        (Phase.COMMIT, 0b0111, (CAUGHT,), 12, 12),
        # Seat 3 submitted no model, so it owes no vote.
        (Phase.REVEAL, 0b0111, (COMMITTED,), 12, 12),
        (Phase.REVEAL, 0b1111, (COMMITTED,), 11 + TERMS.commit_window, 10),
        (Phase.ATTEST, 0b1111, (round_of(0b0111, votes(*GOOD[:3]))[3],), 13, 13),
    ],
)
def test_a_deadline_links_to_what_it_counts_from(
    phase: Phase,
    submitted: int,
    then: tuple[RequestEvent, ...],
    began: int,
    counts_from: int,
) -> None:
    """What completed the step before, or the round's opening where only time did."""
    window = getattr(TERMS, f"{phase.name.lower()}_window")
    told = story(*round_of(0b0111, votes(*GOOD[:3]), submitted)[:2], *then)
    facts = make_facts(phase=phase, deadline=1_000 + began + window)
    assert request_view(of(told, facts)).now.transaction == at(counts_from).tx_hash
    assert request_view(of(told, replace(facts, round=2))).now.transaction == ""


def test_a_cohort_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[bytes] = []
    whole = ClosedPool.cohort

    def counted(self: ClosedPool, seed: bytes, size: int) -> tuple[int, ...]:
        drawn.append(seed)
        return whole(self, seed, size)

    monkeypatch.setattr(ClosedPool, "cohort", counted)
    view = request_view(of(story(*round_of(0b0111, votes(*GOOD[:3])))))
    assert [one.rounds for one in view.members] == [1] * 4
    assert len(drawn) == 1


def test_a_token_and_ether_do_not_mix() -> None:
    token = "0x" + "7" * 40
    one = story()
    created = replace(one.created, terms=replace(TERMS, token=token, pay=500))
    view = money_view(RequestStory((created, *one.events[1:]), {}, POOL))
    assert {(flow.token, flow.amount) for flow in view.held} == {
        (token, 500),
        (ETHER, TERMS.gas_budget),
    }
    assert (view.total(token), view.total(ETHER)) == (500, TERMS.gas_budget)
    paid = Paid(at(20), 1, ACCOUNTS[0], token, 70, False)
    gas = Paid(at(21), 1, ACCOUNTS[0], ETHER, 10**15, False)
    shown = request_view(of(RequestStory((created, *one.events[1:], paid, gas), {}, POOL)))
    assert [row.says for row in shown.timeline[-2:]] == [
        f"70 of token {token} paid",
        "0.001 ether paid",
    ]
    assert (shown.members[0].paid, shown.members[0].paid_ether) == (70, 10**15)
    assert not summarise(RequestStory((created, *one.events[1:]), {}, POOL), UNKNOWN).ether_pay
    assert summarise(one, UNKNOWN).ether_pay == TERMS.pay


def test_a_request_without_its_specification_is_still_shown() -> None:
    settled = Settled(at(30), 1, 10**18, 10_000, 0, 0)
    one = story(*round_of(0b1111, votes(*GOOD)), settled)
    assert one.stage is RequestStage.PAID
    view = request_view(of(one))
    assert view.problem == "nobody holds it"
    assert view.summary.error == 800
    assert [row.event for row in view.timeline][:2] == ["RequestCreated", "Joined"]


@pytest.mark.parametrize(
    ("final_rounds", "says"),
    [
        (1, "The rounds are over. A member delivers the model's key next."),
        (0, "The rounds are over. No model was made. Anyone may settle."),
    ],
)
def test_a_delivery_is_expected_only_of_a_model(final_rounds: int, says: str) -> None:
    view = request_view(of(story(RoundsEnded(at(20), 1, final_rounds, False, final_rounds))))
    assert view.now.says == says


def test_a_running_request_without_a_node_does_not_begin_again() -> None:
    view = request_view(of(story(*round_of(0b1111, votes(*GOOD)))))
    assert (view.now.phase, view.now.says) == (
        "not known",
        "No node answers now: whose turn it is cannot be told.",
    )


def test_the_slice_is_due_by_half_of_the_window() -> None:
    facts = make_facts(phase=Phase.COMMIT, deadline=5_000, submitted=0b1111)
    waits = request_view(of(story(*round_of(0b1111, votes(*GOOD))), facts)).now
    assert (waits.waits_for, waits.deadline) == ((story().created.requester,), 4_500)
    opened = replace(facts, slice_opened=True)
    assert request_view(of(story(*round_of(0b1111, votes(*GOOD))), opened)).now.deadline == 5_000


def of_account(account: str, **known: Any) -> ParticipantView:
    who = Participant(
        account, 1, ParticipantStatus.ACTIVE, 1, 1_000, True, bytes(32), bytes(32), 4_000
    )
    named = ("events", "payments", "transactions")
    nothing: dict[str, Any] = {"requests": (), **{one: [] for one in named}}
    return participant_view(ParticipantSources(who, 5_000, now=2_000, **{**nothing, **known}))


def test_ones_own_money_back_is_not_earned() -> None:
    account = story().created.requester
    payments = [
        ListedPayment(20, 1, ETHER, 10**17 + 1, False, True, False, "0x1"),
        ListedPayment(21, 2, ETHER, 10**17 + 2, False, False, False, "0x2"),
        ListedPayment(22, 2, ETHER, 5, True, False, False, "0x3"),
    ]
    view = of_account(account, payments=payments)
    assert view.earned == 10**17 + 7
    assert earnings_chart(view).labels == ("2",)


def test_a_reputation_is_what_the_ledger_recorded() -> None:
    """Whoever joined a request that is not drawn by reputation was shown to have none."""
    outcome = {"account": ACCOUNTS[0], "quality": 5_204, "losses": 0}
    recorded = {"weight": 100, "endedAt": 1_000, "outcomes": [outcome]}
    event = Event("ProvidersRecorded", "ReputationLedger", recorded, 5, "0xab", 0, 1_000)
    chart = of_account(ACCOUNTS[0], events=[event]).history
    assert chart.labels[0] == "at first"
    assert chart.series[0].values == (4_000, 5_094, 4_000)
    assert chart.proofs == ("", "0xab", "0xab")


def test_sales_of_a_result_add_up() -> None:
    buyers = ["0x" + digit * 40 for digit in "abc"]
    told = story(
        ResaleOffered(at(20), 1, 100, ETHER),
        *(ResultBought(at(21), 1, one, 100, (1, 2), 0) for one in buyers),
        KeySealed(at(22), 1, buyers[0], ACCOUNTS[0], 0, bytes(32), 0),
        ResultSold(at(23), 1, buyers[0], 100),
        ResaleClaimed(at(24), 1, ACCOUNTS[0], 0, buyers[2], 37),
        PurchaseRefunded(at(25), 1, buyers[1], 100),
        ResultBought(at(26), 1, buyers[1], 100, (1, 2), 0),
    )
    view = request_view(of(told)).resale
    assert view is not None
    assert [one.state for one in view.sales] == ["sold", "refunded", *["waits for a key"] * 2]
    # A maker may have its share sent to another account.
    assert [(one.account, one.amount) for one in view.sent] == [(buyers[2], 37), (buyers[1], 100)]
    assert sum(one.amount for one in view.received) == 400
    assert [one.amount for one in view.held] == [263]
    assert request_view(of(story())).resale is None


def test_a_node_that_does_not_answer_is_not_well() -> None:
    nodes = [Node(f"http://127.0.0.1:{port}") for port in (1, 2, 3, 4)]
    for node, head in zip(nodes, (100, 100, 90, -1), strict=True):
        if head > 0:
            node.health.reported(head)
    nodes[1].health.failed()
    rows = node_rows(nodes)
    assert [one.healthy for one in rows] == [True, False, False, False]
    assert "did not answer the last call" in rows[1].says
    assert "behind the others at 100" in rows[2].says
    assert "has not answered yet" in rows[3].says
    nodes[1].health.paused_until += 60
    nodes[1].health.answered(0.01)
    [row] = node_rows(nodes[1:2])
    assert row.healthy
    assert "behind" not in row.says


@pytest.mark.parametrize(
    ("charged_at", "fits", "lasts_until"), [(9_000_000, 2, 14_184_000), (9_000, 2, None)]
)
def test_a_budget_is_forecast_from_the_last_request(
    charged_at: int, fits: int, lasts_until: int | None
) -> None:
    """Two more at one in 30 days are 60 days; nothing is said without a recent request."""
    release = GaussianRelease(noise_multiplier=5.0, sampling_rate=1.0, steps=1)
    once = Spend.of(release)
    limit = PrivacyLimit(once.times(3).cost(1e-5).epsilon * 1.001, 1e-5)
    releases = (LedgerRelease(b"", 1, 1, release, "pumps", charged_at),)
    view = own_view(
        OwnSources(
            account=ACCOUNTS[0],
            fingerprint=b"",
            delta=1e-5,
            limit=limit,
            listed={},
            look=LedgerLook({"pumps": once}, (), (), releases),
            decisions=[],
            closed=frozenset(),
            acting={},
            balance=None,
            daemon=DaemonRow(known=False, serves=False, problems=()),
            log=(),
            payments=[],
            transactions=[],
            now=9_000_000,
        )
    )
    assert (view.requests_left, view.lasts_until) == (fits, lasts_until)
    assert [one.lasts_until for one in view.data_sets] == [lasts_until]
