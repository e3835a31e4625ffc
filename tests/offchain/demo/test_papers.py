"""What the papers' demos compute and say themselves."""

import io
import json
from collections import Counter

import pytest
from rich.console import Console

from fedpact.audit.report import AuditItem, AuditReport, Verdict
from fedpact.consensus.leader import Candidate, by_weighted_error
from fedpact.demo.options import Paper, PaperOptions
from fedpact.demo.papers import logs
from fedpact.demo.papers.quality import weighted_error
from fedpact.demo.papers.story import PaperStory
from fedpact.errors import InvalidInput


def test_equation_7_by_hand() -> None:
    """gamma = 1 + 100/400; 1.25 * 0.2 + (0.2 + 0.4) / 2."""
    assert weighted_error([0.2, 0.4], [100, 300], 0) == pytest.approx(0.55)
    assert weighted_error([0.2, 0.4], [100, 300], 1) == pytest.approx(1.75 * 0.4 + 0.3)


def test_the_chain_elects_by_equation_7() -> None:
    """The order of the contracts leaves out what all members share."""
    errors, samples = [0.30, 0.26, 0.40], [100, 200, 100]
    candidates = [
        Candidate(seat, f"0x{seat:040x}", round(error * 10_000), count)
        for seat, (error, count) in enumerate(zip(errors, samples, strict=True))
    ]
    order = by_weighted_error(candidates, 1, sum(samples))
    totals = [weighted_error(errors, samples, index) for index in range(3)]
    assert order == sorted(range(3), key=totals.__getitem__)
    assert order == [0, 1, 2], "gamma turns the first two around"


def test_logs_are_about_a_machine_and_have_all_labels_equally_often() -> None:
    rows = logs.lines("logs/turbines", 30, seed=1)
    assert rows == logs.lines("logs/turbines", 30, seed=1)
    assert rows != logs.lines("logs/turbines", 30, seed=2)
    assert Counter(label for _, label in rows) == dict.fromkeys(logs.LABELS, 10)
    assert all(set(text.split()) & set(logs.MACHINES["logs/turbines"]) for text, _ in rows)


def test_a_story_tells_the_place_and_what_failed() -> None:
    out = io.StringIO()
    story = PaperStory(Console(file=out, width=60))
    story.step("III-B, eq. 2", "found three")
    story.expect(False, "a fourth was found")
    items = (AuditItem("pay", Verdict.FAILS, "1 of 2"), AuditItem("votes", Verdict.HOLDS, ""))
    story.audited(AuditReport(7, 1, items))
    assert "[III-B, eq. 2]" in out.getvalue()
    assert story.failures == ["a fourth was found", "audit of request 7: pay: 1 of 2"]
    written = json.loads(story.to_json(1.0))
    assert written["audits"] == [{"request": 7, "items": {"pay": False, "votes": True}}]
    assert written["steps"] == [{"place": "III-B, eq. 2", "text": "found three"}]


def test_a_papers_options_have_its_figures() -> None:
    lu, wang = PaperOptions(Paper.LU), PaperOptions(Paper.WANG, providers=100)
    assert (lu.members, lu.drawn, lu.iterations) == (3, 3, 4)
    assert (wang.members, wang.drawn, wang.iterations) == (100, 10, 2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"paper": Paper.LU, "providers": 17}, "--providers 17: must be from 2 to 16"),
        ({"paper": Paper.LU, "cohort": 3}, "Lu's committee takes part in every round"),
        ({"paper": Paper.WANG, "providers": 12}, "--providers 12: a multiple of 5"),
        ({"paper": Paper.WANG, "cohort": 17}, "--cohort 17: must be from 2 to 16"),
        ({"paper": Paper.WANG, "rounds": 101}, "--rounds 101: must be from 1 to 100"),
    ],
)
def test_impossible_options_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        PaperOptions(**given)  # type: ignore[arg-type]
