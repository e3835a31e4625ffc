"""The mutants fit the present contracts; `make mutation` runs a sample of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from scripts import mutation
from scripts.mutant_builds import UNBROKEN, Built, code
from scripts.mutant_switches import switched
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
    (tmp_path / UNBROKEN.file).parent.mkdir(parents=True)
    (tmp_path / UNBROKEN.file).write_text(UNBROKEN.old)
    with pytest.raises(Unending, match="did not end"):
        tree.first_failure(Built(UNBROKEN, []), ["registry"])
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
    hashes = ["a2646970667358221220" + digit * 64 + "64736f6c63430008250033" for digit in "12"]
    made = [{"A": {"bytecode": f"0x{start}{end}00"}} for start in ("60", "61") for end in hashes]
    assert code(made[0]) == code(made[1]) != code(made[2])
    mutant = Mutant("a.sol", "x", "y", "one", ())
    assert Outcome(same_code=True).state(mutant) == "equivalent"
    assert not Outcome(same_code=True).wrong(mutant)


SOURCE = """pragma solidity 0.8.37;
contract A {
    uint256 constant B = 1;
    function f(uint256 a) external onlyOwner {
        x = a + 1; // as promised
        uint256 b = a + 1;
        (uint256 c, bool d) = a == 1 ? (1, true) : g();
        if (a < 2) revert Bad(a + 1);
        for (uint256 i; i < 3; ++i) {
            g(i);
        }
        return a < 2
            || a > 4;
        if (a == 9) g(1);
        else g(a + 1);
    }
}
"""


def test_mutants_have_switches_where_a_line_shows_how() -> None:
    """A statement and a deleted one, a new variable, a condition, a loop; two on one line."""
    changes = [
        ("x = a + 1; // as promised", "x = a - 1; // as promised"),
        ("        x = a + 1; // as promised\n", ""),
        ("b = a + 1;", "b = a - 1;"),
        ("if (a < 2) revert", "if (a <= 2) revert"),
        ("i < 3;", "i <= 3;"),
        ("        if (a == 9) g(1);\n", "        if (a != 9) g(1);\n"),
        ("a == 1", "a != 1"),
    ]
    alone = [
        ("B = 1", "B = 2"),
        (" onlyOwner", ""),
        ("|| a > 4", "|| a >= 4"),
        ("return a < 2\n", "return a <= 2\n"),
        ("        else g(a + 1);\n", "        else g(a - 1);\n"),
        ("revert Bad(a + 1);", "revert Bad(a - 1);"),
    ]
    lines = SOURCE.splitlines(keepends=True)
    mutants = {}
    for number, (old, new) in enumerate(changes + alone, 1):
        line = next(one for one in lines if old.rstrip("\n") in one)
        mutants[number] = Mutant("a.sol", line, line.replace(old, new), str(number), ())
    texts, places = switched({"a.sol": SOURCE}, mutants)
    # Number 6 keeps its condition in place, since the `else` after it would belong to the switch.
    assert sorted(n for numbers in places.values() for n in numbers) == [1, 2, 3, 4, 5, 6, 7, 13]
    own = texts["a.sol"].splitlines()
    assert [own[line - 1].strip() for _, line in sorted(places)] == [
        "if (mutantOn(2)) {  } else { if (mutantOn(1)) { x = a - 1; } else { x = a + 1; } }",
        "uint256 b = mutantOn(3) ? (a - 1) : (a + 1);",
        "(uint256 c, bool d) = "
        "mutantOn(7) ? (a != 1 ? (1, true) : g()) : (a == 1 ? (1, true) : g());",
        "if (mutantOn(13)) { if (a < 2) revert Bad(a - 1); } else "
        "{ if (mutantOn(4)) { if (a <= 2) revert Bad(a + 1); } "
        "else { if (a < 2) revert Bad(a + 1); } }",
        "for (uint256 i; mutantOn(5) ? (i <= 3) : (i < 3); ++i) {",
        "if (mutantOn(6) ? (a != 9) : (a == 9)) g(1);",
    ]
