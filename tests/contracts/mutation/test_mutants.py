"""The list of mutants fits the present contracts; `make mutation` runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.mutation import (
    RESULTS,
    TESTS,
    Mutant,
    Outcome,
    Progress,
    read_mutants,
    report,
)

ROOT = Path(__file__).resolve().parents[3]

MUTANTS = read_mutants()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_mutant_changes_one_place_in_the_sources(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    assert mutant.applied(text) != text
    assert all((ROOT / TESTS / test).exists() for test in mutant.tests)


def test_there_are_enough_mutants_and_no_duplicates() -> None:
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS) >= 30


def test_a_missing_or_repeated_pattern_is_reported() -> None:
    mutant = Mutant("contracts/A.sol", "a < b", "a <= b", "an edge", ())
    for text in ("a > b", "a < b; a < b"):
        with pytest.raises(ValueError, match=r"A\.sol: an edge: found [02] times: a < b"):
            mutant.applied(text)


def test_the_results_are_of_these_mutants_and_leave_none_unexplained() -> None:
    results = json.loads(RESULTS.read_text())
    outcomes = [Outcome(killed_by=one.get("killed_by", "")) for one in results["each"]]
    assert results == report(MUTANTS, outcomes)
    for mutant, outcome in zip(MUTANTS, outcomes, strict=True):
        assert outcome.wrong(mutant) == ""


def test_the_killing_tests_exist() -> None:
    for one in json.loads(RESULTS.read_text())["each"]:
        if "killed_by" in one:
            file, name = one["killed_by"].split("::")
            assert f"def {name.split('[')[0]}(" in (ROOT / file).read_text()


def test_earlier_results_hold_until_the_tests_change(tmp_path: Path) -> None:
    """The digest covers the mutant's own sources."""
    test = tmp_path / "test_it.py"
    test.write_text("before")
    Progress(tmp_path / "found.json").add("digest", f"{test}::test_it")

    found = Progress(tmp_path / "found.json")
    assert found.killed_by("digest") == f"{test}::test_it"
    assert found.killed_by("another") is None
    test.write_text("after")
    assert found.killed_by("digest") is None
