"""Pages and report of a request with large rounds: over events that a test writes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from fedpact.chain.bindings.events import (
    CommitteeDrawn,
    Credited,
    DrawMoved,
    Joined,
    ModelForced,
    RequestCreated,
    RequestEvent,
    RoundFailed,
    RoundFinalised,
    RoundOpened,
    RoundPosted,
    RoundsEnded,
    Started,
)
from fedpact.chain.signed_messages import LargeRecord
from fedpact.consensus.large_rounds import entries, words
from fedpact.dashboard.index.reading import DescribedRequest
from fedpact.dashboard.index.summary import summarise
from fedpact.dashboard.links import Links
from fedpact.dashboard.report.page import page
from fedpact.dashboard.report.view import report_view
from fedpact.dashboard.story import ClosedPool, RequestStory
from fedpact.dashboard.views.member import member_view
from fedpact.dashboard.views.request import RequestPage, Sources, request_view
from fedpact.dashboard.web.api import REQUEST_TABLES, request_rows
from fedpact.types.requests import NOBODY, LargeFacts, Phase, PoolMember
from tests.offchain.dashboard.test_report import AUDIT
from tests.offchain.dashboard.told_events import START, TERMS, at, make_facts
from tests.offchain.requester.requests_of_digits import draft

MEMBERS, COMMITTEE, SEED = 7, 2, b"\x05" * 32
ACCOUNTS = [f"0x{number:040x}" for number in range(1, MEMBERS + 1)]
POOL = ClosedPool(
    tuple(PoolMember(one, n, 10, 4_000, n + 1) for n, one in enumerate(ACCOUNTS)), left=(6,)
)
LARGE = replace(TERMS, cohort=COMMITTEE, max_pool=MEMBERS, min_pool=3)
JUDGES = POOL.cohort(SEED, COMMITTEE)
TRAINERS = [index for index in range(MEMBERS - 1) if index not in JUDGES]
POINTS = [100 if index in TRAINERS else 20 for index in range(MEMBERS - 1)] + [0]
DIGEST, CREDIT = b"\x01" * 32, 1 << 16
RECORD = LargeRecord(b"\x02" * 32, b"\x03" * 32, DIGEST, 800 | 900 << 14, False, ())
RECORD = replace(RECORD, points=tuple(words(POINTS, JUDGES)))
OPENED = RoundOpened(at(10), 1, 1, bytes(32), bytes(32), 0)
DRAWN = CommitteeDrawn(at(11), 1, 1, SEED)
FORCED = ModelForced(at(12), 1, 1, TRAINERS[0], b"\x09" * 32)
POSTED = RoundPosted(at(13), 1, 1, 0b11, RECORD.hash)
FINAL = RoundFinalised(at(13), 1, 1, NOBODY, DIGEST, 850, 0b11)
ROUND = [OPENED, DRAWN, FORCED, POSTED, FINAL, Credited(at(13), 1, 0, 0, CREDIT, DIGEST)]
RECORDS = {(POSTED.at.tx_hash, RECORD.hash): RECORD}


def story(*events: RequestEvent, known: bool = True) -> RequestStory:
    created = RequestCreated(at(1), 1, "0x" + "9" * 40, bytes(32), bytes(32), LARGE)
    joined = [Joined(at(2), 1, one, n, 10, bytes(32)) for n, one in enumerate(ACCOUNTS[:-1])]
    started = Started(at(3), 1, ACCOUNTS[0], 0, START)
    return RequestStory((created, *joined, started, *events), RECORDS if known else {}, POOL)


def facts(**changes: Any) -> LargeFacts:
    found = vars(make_facts(expected=0, **changes))
    return LargeFacts(**found, members=MEMBERS, forced=1, draw_block=0, points=bytes(32))


def view(*events: RequestEvent, known: bool = True, **changes: Any) -> RequestPage:
    spec = draft().specification
    described = DescribedRequest("bafy", spec, "")
    told = story(*events, known=known)
    return request_view(Sources(told, described, facts(**changes), 9, large=True))


def test_a_round_shows_pool_committee_trainers_record_and_points() -> None:
    [shown] = view(*ROUND).rounds
    large = shown.large
    assert large is not None
    assert (large.pool, large.trainers, large.committee, large.signed) == (6, 4, 2, 2)
    assert (large.points, large.judges_points, large.paid_trainers) == (440, 40, 4)
    assert [one.account for one in shown.seats] == [ACCOUNTS[index] for index in JUDGES]
    assert [one.error for one in shown.seats] == [800, 900]
    assert [one.points for one in shown.seats] == [20, 20]
    assert [one.why for one in shown.seats] == ["", ""]
    assert [one.attest.transaction for one in shown.seats if one.attest] == [POSTED.at.tx_hash] * 2
    [forced] = large.forced
    assert (forced.account, forced.transaction) == (ACCOUNTS[TRAINERS[0]], FORCED.at.tx_hash)
    assert (shown.state, shown.error, shown.votes) == ("final", 850, None)
    assert shown.credit_transaction == POSTED.at.tx_hash


def test_shares_are_those_of_the_points_before_they_are_summed_up_and_after() -> None:
    summed = [Credited(at(20), 1, *one.fields) for one in entries([POINTS], POOL.left)]
    ended = RoundsEnded(at(19), 1, 1, False, 1)
    before, after = view(*ROUND), view(*ROUND, ended, *summed)
    assert [one.share for one in before.members] == [one.share for one in after.members]
    assert [one.points for one in after.members] == POINTS[:-1]
    assert sum(one.share for one in after.members) <= LARGE.pay // 2
    assert [one.rounds for one in after.members] == [1] * 6
    assert after.points.series[0].values == tuple(map(float, POINTS[:-1]))


def test_a_members_page_says_whether_it_judged_trained_or_forced() -> None:
    shown = view(*ROUND)
    judge = member_view(shown, ACCOUNTS[JUDGES[0]]).rounds[0]
    forcing, trainer = (member_view(shown, ACCOUNTS[one]).rounds[0] for one in TRAINERS[:2])
    assert [one.role for one in (judge, forcing, trainer)] == ["judge", "trainer", "trainer"]
    assert [one.points for one in (judge, forcing, trainer)] == [20, 100, 100]
    assert forcing.forced is not None
    assert (trainer.forced, trainer.seat, trainer.all_points) == (None, None, 440)


def test_a_record_that_no_node_tells_leaves_points_open() -> None:
    [shown] = view(*ROUND, known=False).rounds
    assert shown.large is not None
    assert (shown.large.points, shown.large.signed) == (None, 2)
    assert [one.points for one in shown.seats] == [None, None]
    assert [one.error for one in shown.seats] == [None, None]


@pytest.mark.parametrize(
    ("phase", "events", "says"),
    [
        (Phase.SUBMIT, [OPENED, DRAWN, FORCED], "; 1 put its model in alone."),
        (Phase.ATTEST, [OPENED, DRAWN, FORCED], "posts what a quorum has signed"),
        (Phase.FAILED, [OPENED], "Nobody posted a record in time"),
        (Phase.FINALISE, ROUND, "points summed up"),
    ],
)
def test_it_says_what_happens_now(phase: Phase, events: list[RequestEvent], says: str) -> None:
    now = view(*events, phase=phase, round=1, deadline=2_000).now
    assert says in now.says
    assert now.phase == phase.name.lower()
    assert now.waits_for == ()


def test_a_round_before_its_draw_and_one_that_failed_are_shown() -> None:
    [fresh] = view(OPENED).rounds
    assert fresh.large is not None
    assert (fresh.large.trainers, fresh.seats, fresh.large.points) == (None, (), None)
    failed = RoundFailed(at(14), 1, 1, True)
    [shown] = view(OPENED, DRAWN, failed).rounds
    assert shown.state == "void start"
    assert {one.why for one in shown.seats} == {"the start was void: the round started over"}


def test_the_timeline_says_what_each_event_is() -> None:
    moved = DrawMoved(at(11), 1, 1, 77)
    said = [one.says for one in view(OPENED, moved, *ROUND[1:]).timeline]
    for text in (
        "round opened for the whole pool",
        "committee fixed",
        "put its model in by itself",
    ):
        assert any(text in one for one in said)
    assert any("block 77 draws the committee" in one for one in said)


def test_every_table_can_be_downloaded() -> None:
    shown = view(*ROUND)
    rows = {one: [row.model_dump() for row in request_rows(shown, one)] for one in REQUEST_TABLES}
    assert len(rows["points"]) == 6
    assert [one["index"] for one in rows["forced"]] == [TRAINERS[0]]
    assert rows["rounds"][0]["large"]["earned"] == {}


@pytest.mark.parametrize("events", [[], [OPENED], ROUND])
def test_a_report_has_no_dead_link(events: list[RequestEvent]) -> None:
    told = Sources(story(*events), DescribedRequest("bafy", draft().specification, ""), large=True)
    whole = page(report_view(31_337, told, AUDIT, "no model is delivered"), Links(pages=False))
    text = re.sub(r"<script.*?</script>", "", whole, flags=re.DOTALL)
    ids = re.findall(r'id="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', text)) - set(ids) == set()
    assert "not on chain" in text


def test_the_card_names_judges_and_evidence() -> None:
    card = view(*ROUND).card
    assert card is not None
    shown = {one.name: one.value for one in card.facts}
    assert shown["Made in"] == "round 1, by 4 trainers; 2 of 2 judges signed"
    assert shown["Evidence of models and scores"].startswith("b")


def test_a_list_has_the_request() -> None:
    told = story(*ROUND)
    found = summarise(told, DescribedRequest("bafy", None, "nobody holds it")).summary
    assert (found.cohort, found.final_rounds, found.error) == (COMMITTEE, 1, 850)
