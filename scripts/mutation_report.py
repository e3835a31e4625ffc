"""What became of each mutant, and docs/results/mutation.json."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scripts.compile import COMPILER
from scripts.mutants import Mutant


@dataclass(frozen=True)
class Outcome:
    """Result for a mutant: the first test that failed, the compiler's message, that its code is the
    same, or that the tests had to be stopped, which says nothing about it."""

    killed_by: str = ""
    complaint: str = ""
    unending: bool = False
    same_code: bool = False

    def state(self, mutant: Mutant) -> str:
        """In a word or two, for reports."""
        if self.complaint:
            return "does not compile"
        if self.unending:
            return "does not end"
        if self.killed_by:
            return "killed"
        return "equivalent" if self.same_code or mutant.equivalent else "alive"

    def wrong(self, mutant: Mutant) -> str:
        """What has to be fixed; empty if nothing."""
        if self.complaint:
            return f"does not compile: {self.complaint}"
        if self.unending:
            return "its tests were stopped before one failed: run it again on a quiet machine"
        if self.killed_by and mutant.equivalent:
            return f"is killed by {self.killed_by}, but listed as equivalent"
        return "no test fails" if self.state(mutant) == "alive" else ""


def report(
    mutants: Sequence[Mutant], outcomes: Sequence[Outcome | None], all_: int, command: str
) -> dict[str, Any]:
    """The content of docs/results/mutation.json.

    States: killed, alive, equivalent, "does not compile", "does not end", "not run".
    """
    each = [_state(mutant, outcome) for mutant, outcome in zip(mutants, outcomes, strict=True)]
    counted = Counter(one["state"] for one in each)
    return {
        "command": command,
        "compiler": COMPILER,
        "population": all_,
        "sample": len(mutants),
        "states": dict(sorted(counted.items())),
        "each": each,
    }


def _state(mutant: Mutant, outcome: Outcome | None) -> dict[str, str]:
    facts = {"file": mutant.file, "breaks": mutant.breaks}
    if outcome is None:
        return {**facts, "state": "not run"}
    facts["state"] = outcome.state(mutant)
    if outcome.killed_by:
        return {**facts, "killed_by": outcome.killed_by}
    if facts["state"] == "equivalent":
        facts["why"] = mutant.equivalent or "The compiler makes the same code of it."
    return facts
