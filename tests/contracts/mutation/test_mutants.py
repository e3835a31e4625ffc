"""The list of mutants fits the contracts as they are; running it is `make mutation`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts"))

from mutation import (  # noqa: E402  (see above)
    TESTS,
    Mutant,
    Progress,
    read_mutants,
)

MUTANTS = read_mutants()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_changes_one_place_that_is_there(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    assert mutant.applied(text) != text
    assert all((ROOT / TESTS / test).exists() for test in mutant.tests)


def test_there_are_enough_and_none_twice() -> None:
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS) >= 30


def test_a_place_that_is_not_there_once_is_told() -> None:
    mutant = Mutant("contracts/A.sol", "a < b", "a <= b", "an edge", ())
    for text in ("a > b", "a < b; a < b"):
        with pytest.raises(ValueError, match=r"A\.sol: an edge: found [02] times: a < b"):
            mutant.applied(text)


def test_what_an_earlier_run_found_holds_while_the_tests_do(tmp_path: Path) -> None:
    """The mutant's own sources are in its digest."""
    test = tmp_path / "test_it.py"
    test.write_text("before")
    Progress(tmp_path / "found.json").add("digest", f"{test}::test_it")

    found = Progress(tmp_path / "found.json")
    assert found.killed_by("digest") == f"{test}::test_it"
    assert found.killed_by("another") is None
    test.write_text("after")
    assert found.killed_by("digest") is None
