"""A report is one file that loads nothing from elsewhere and shows its data."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from markupsafe import escape

from fedpact.audit import AuditReport
from fedpact.audit.report import AuditItem, Verdict
from fedpact.chain.bindings.events import RequestEvent, RoundOpened, VotesRevealed
from fedpact.dashboard.index.reading import DescribedRequest, Transaction
from fedpact.dashboard.links import Links
from fedpact.dashboard.report.page import page
from fedpact.dashboard.report.view import ReportView, report_view
from fedpact.dashboard.views.quality import calibration_chart, roc_chart
from fedpact.dashboard.views.request import Sources
from fedpact.requester.card.quality import Quality
from fedpact.types.specification import Specification
from tests.offchain.dashboard.told_events import ACCOUNTS, GOOD, at, round_of, story, votes
from tests.offchain.requester.requests_of_digits import draft
from tests.offchain.requester.test_card import HOSTILE, PLAIN, SOUND, judged

AUDIT = AuditReport(
    1,
    30,
    (
        AuditItem("medians", Verdict.HOLDS, "1 round"),
        AuditItem("models", Verdict.UNAVAILABLE, "sealed"),
        AuditItem("payments", Verdict.FAILS, HOSTILE),
        AuditItem("finals", Verdict.HOLDS, "none"),
        AuditItem("privacy", Verdict.HOLDS, "as specified"),
        AuditItem("points", Verdict.HOLDS, "none"),
        AuditItem("settlement", Verdict.UNAVAILABLE, "not yet"),
        AuditItem("specification_digest", Verdict.HOLDS, "as published"),
    ),
)


ROUND = round_of(0b1111, votes(*GOOD))


def report_of(
    quality: Quality | str = "no model is delivered",
    rounds: Sequence[RequestEvent] = ROUND,
    **changes: Any,
) -> ReportView:
    told = story(*rounds)
    spec = draft(**changes).specification
    hashes = sorted({one.at.tx_hash for one in told.events})
    sent = {one: Transaction(one, 5, ACCOUNTS[0], "postRound", 1_000, 10**12) for one in hashes}
    return report_view(
        31_337, Sources(told, DescribedRequest("bafy", spec, ""), None, 9, sent), AUDIT, quality
    )


def spec() -> Specification:
    return draft().specification


def test_nothing_is_loaded_and_only_the_files_own_scripts_run() -> None:
    text = page(report_of(judged(spec(), PLAIN)), Links(pages=False))
    assert re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", text) == []
    assert [one for one in re.findall(r'href="([^"]*)"', text) if not one.startswith("#")] == []
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)[0]
    assert policy.startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    for content in re.findall(r"<(?:script|style)>(.*?)</(?:script|style)>", text, re.DOTALL):
        assert b64encode(sha256(content.encode()).digest()).decode() in policy


SECOND = [
    RoundOpened(at(16), 1, 2, bytes(32), bytes(32), 0b1111),
    VotesRevealed(at(17), 1, 2, 0b1111, votes(*GOOD)),
]


@pytest.mark.parametrize("rounds", [[], ROUND[:1], ROUND, ROUND + SECOND])
def test_every_link_within_it_leads_somewhere(rounds: list[RequestEvent]) -> None:
    """Also before the first round and before its votes."""
    whole = page(report_of(judged(spec(), PLAIN), rounds), Links(pages=False))
    text = re.sub(r"<script.*?</script>", "", whole, flags=re.DOTALL)
    ids = re.findall(r'id="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', text)) - set(ids) == set()


def test_figures_link_to_an_explorer_where_there_is_one() -> None:
    text = page(report_of(), Links("https://explorer.example", pages=False))
    assert f"https://explorer.example/address/{ACCOUNTS[0]}" in text
    assert "https://explorer.example/tx/0x" in text


def test_its_data_are_what_it_shows() -> None:
    found = report_of(judged(spec(), PLAIN))
    data = json.loads(found.model_dump_json())
    assert data["quality"]["confusion"] == [list(row) for row in found.quality.confusion]  # type: ignore[union-attr]
    assert data["audit"]["items"][0]["verdict"] == "fails"
    assert sum(found.gas.series[0].values) == 1_000 * len(
        {e.at.tx_hash for e in story().events}
        | {e.at.tx_hash for e in round_of(0b1111, votes(*GOOD))}
    )  # type: ignore[arg-type]
    text = page(found, Links(pages=False))
    for said in ("Confusion matrix", "Calibration", "payments", "1 fail", ACCOUNTS[2]):
        assert said in text


def test_without_a_measured_model_it_says_so() -> None:
    text = page(report_of(), Links(pages=False))
    assert "Not measured: no model is delivered." in text
    assert "Confusion matrix" not in text


def test_epsilon_is_computed_again_with_its_accountant() -> None:
    local = {"steps": 2, "learning_rate": 0.5, "sampling_rate": 1.0}
    privacy = {**SOUND, "noise_multiplier": 4.0}
    found = report_of(privacy=privacy, local=local)
    privacy_shown = found.request.privacy
    assert privacy_shown is not None
    cost = privacy_shown.cost
    assert cost is not None
    text = page(found, Links(pages=False))
    assert f"epsilon {cost.epsilon:.4g} at delta 1e-05" in text
    for said in (cost.accountant, privacy_shown.unit, privacy_shown.adjacency):
        assert str(escape(said)) in text
    unsound = report_of().request.privacy
    assert unsound is not None
    assert (unsound.cost, unsound.unit) == (None, "")


def test_foreign_text_stays_text() -> None:
    labels = ["a", HOSTILE, "c"]
    quality = judged(draft(labels=labels).specification, PLAIN)
    text = page(report_of(quality, title=HOSTILE, labels=labels), Links(pages=False))
    assert "<script>alert" not in text
    assert "\u202e" not in text


def test_charts_of_quality() -> None:
    found = judged(spec())
    calibration, roc = calibration_chart(found), roc_chart(found)
    assert len(calibration.labels) == len(found.calibration)
    assert "request answer" not in calibration.summary
    assert "request answer" in calibration_chart(judged(spec(), PLAIN)).summary
    assert roc is not None
    assert [one.name for one in roc.series][0::3] == ["mean of all labels", "chance"]
    assert all(one.values[-1] == pytest.approx(1) for one in roc.series)
    assert roc_chart(replace(found, roc=None)) is None
