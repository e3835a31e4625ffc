"""The mutants fit the present contracts; `make mutation` runs a sample of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from scripts import mutation
from scripts.mutants import Mutant, sampled_mutants
from scripts.mutation import RESULTS, TESTS, Progress, Tree, Unending
from scripts.mutation_report import Outcome, report

ROOT = Path(__file__).resolve().parents[3]


def test_a_missing_or_repeated_pattern_is_reported() -> None:
    mutant = Mutant("contracts/A.sol", "a < b", "a <= b", "an edge", ())
    for text in ("a > b", "a < b; a < b"):
        with pytest.raises(ValueError, match=r"A\.sol: an edge: found [02] times: a < b"):
            mutant.applied(text)


def test_the_sample_fits_the_sources() -> None:
    """Each changes one place, none comes twice, and the beginning of the sample is of all kinds."""
    sampled = sampled_mutants()
    assert len({(one.file, one.breaks) for one in sampled}) == len(sampled) > 1_000
    texts = {file: (ROOT / file).read_text() for file in {one.file for one in sampled}}
    for one in sampled:
        assert one.applied(texts[one.file]) != texts[one.file]
    assert len({one.file for one in sampled[:150]}) > 15
    assert all((ROOT / TESTS / test).exists() for one in sampled for test in one.tests)


def test_the_report_names_each_state() -> None:
    mutants = [Mutant("a.sol", "x", "y", f"{i}", (), "same" if i == 2 else "") for i in range(6)]
    unending = Outcome(unending=True)
    found = [Outcome("t"), Outcome(), Outcome(), Outcome(complaint="no"), unending, None]
    told = report(mutants, found, 9, "command")
    states = [one["state"] for one in told["each"]]
    assert states[:4] == ["killed", "alive", "equivalent", "does not compile"]
    assert states[4:] == ["does not end", "not run"]
    assert (told["population"], told["sample"]) == (9, 6)


def test_a_mutant_whose_tests_had_to_be_stopped_is_not_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **options: float) -> None:
        raise subprocess.TimeoutExpired("pytest", options["timeout"])

    monkeypatch.setattr(subprocess, "run", stopped)
    tree = Tree.__new__(Tree)
    tree.folder = tmp_path
    with pytest.raises(Unending, match="did not end"):
        tree.first_failure(["registry"])
    mutant = Mutant("a.sol", "x", "y", "one", ())
    assert "quiet machine" in Outcome(unending=True).wrong(mutant)


def gone(each: list[dict[str, str]]) -> list[str]:
    """The tests that killed a mutant and are not there any more."""
    killers = [one["killed_by"] for one in each if "::" in one.get("killed_by", "")]
    missing = []
    for killer in killers:
        file, *_, name = killer.split("::")
        path = ROOT / file
        if not path.exists() or f"def {name.split('[')[0]}(" not in path.read_text():
            missing.append(killer)
    return missing


def test_the_killing_tests_exist() -> None:
    assert gone(json.loads(RESULTS.read_text())["each"]) == []


def test_a_killing_test_that_is_gone_is_found() -> None:
    here = "tests/contracts/mutation/test_mutants.py"
    killers = [f"{here}::test_the_killing_tests_exist", f"{here}::test_no_more[1]", "gone.py::test"]
    each = [{"state": "killed", "killed_by": killer} for killer in killers]
    assert gone([*each, {"state": "not run"}]) == killers[1:]


def test_a_run_in_which_nothing_ran_leaves_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--minutes 0` once replaced them by 150 that were not run."""
    kept = tmp_path / "mutation.json"
    kept.write_text("earlier")
    monkeypatch.setattr(mutation, "RESULTS", kept)
    monkeypatch.setattr(mutation, "run_all", lambda mutants, *_: [None] * len(mutants))
    monkeypatch.setattr("sys.argv", ["mutation", "--minutes", "0"])
    assert mutation.main() == 1
    assert kept.read_text() == "earlier"


def test_earlier_results_hold_until_the_tests_change(tmp_path: Path) -> None:
    """The digest covers the mutant's own sources."""
    test = tmp_path / "test_it.py"
    test.write_text("before")
    killed, same = Outcome(killed_by=f"{test}::test_it"), Outcome(same_code=True)
    kept = Progress(tmp_path / "found.json")
    kept.add("digest", killed)
    kept.add("same", same)

    found = Progress(tmp_path / "found.json")
    assert found.outcome("digest") == killed
    assert found.outcome("another") is None
    test.write_text("after")
    assert found.outcome("digest") is None
    assert found.outcome("same") == same
    found.add("third", Outcome(killed_by="the tests do not end"))  # as earlier versions noted it
    assert found.outcome("third") is None


def test_a_mutant_of_the_same_code_is_equivalent() -> None:
    sources = mutation.Sources.__new__(mutation.Sources)
    hashes = ["a2646970667358221220" + digit * 64 + "64736f6c63430008250033" for digit in "12"]
    sources.compiled = [{"A": {"bytecode": f"0x60{hashes[0]}00"}}, {}]
    assert sources.unchanged([("a", {"A": {"bytecode": f"0x60{hashes[1]}00"}}), ("b", {})])
    assert not sources.unchanged([("a", {"A": {"bytecode": f"0x61{hashes[0]}00"}}), ("b", {})])
    mutant = Mutant("a.sol", "x", "y", "one", ())
    assert Outcome(same_code=True).state(mutant) == "equivalent"
    assert not Outcome(same_code=True).wrong(mutant)
