"""Break the contracts in small ways, one at a time, and check that a test fails each time.

    python -m scripts.mutation              a sample of 150
    python -m scripts.mutation --only TEXT  those whose file or effect contains TEXT; writes nothing
    python -m scripts.mutation --sample 20 --minutes 60
                                            the first 20, if time allows
    python -m scripts.mutation --new 3      three more than before, then the report of all
    WORKERS=1 python -m scripts.mutation    one at a time; by default as many as processors

Each runs in a copy of what tests need, in a temporary folder; the checkout is not touched. Where a
line shows how, all mutants are compiled at once, each with a switch (mutant_switches.py). Then each
test runs once for all that live, and by halves where it fails (mutation_plugin.py): first each
mutant's tests in mutants.toml, then all. What has no switch, or lives on, is tried alone, compiled
where it has no switch: with the file that failed last time, its tests in mutants.toml, and all.
All is compiled with less optimisation (QUICK_SETTINGS): the same behaviour in half the time; so
tests marked `optimised` are left out. Only what lives on is compiled by the full optimiser. If that
makes the same code, no test can tell; else the marked tests run on it: on gas, that is. All tests
that failed must pass without a mutant.
Results so far are in .cache/mutation.json: an interrupted run resumes, and a mutant is tried again
only when its sources or the tests concerned have changed.
Results: docs/results/mutation.json, which stays as it is if no mutant has ever run. Exit status 1
for a mutant that passes all tests unless mutants.toml explains it as equivalent, for an explanation
that a test refutes, and if nothing ran.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import pytest

from fedpact.child_process import end_with_parent
from scripts import compile as contracts
from scripts.mutant_builds import Built, Sources
from scripts.mutants import Mutant, sampled_mutants
from scripts.mutation_report import Outcome, report

ROOT = contracts.ROOT
RESULTS = ROOT / "docs" / "results" / "mutation.json"
PROGRESS = ROOT / ".cache" / "mutation.json"

COPIED = (
    "benchmarks",
    "contracts",
    "docs/gas.json",
    "tests/contracts",
    "tests/support",
    "tests/vectors",
    "scripts",
    "pyproject.toml",
)
LINKED = (".venv", "node_modules", "offchain", "tests/__init__.py", "tests/conftest.py")
TESTS = "tests/contracts"
SUPPORT = "tests/support"
TEST_SECONDS = 1_800
WORKERS = int(os.environ.get("WORKERS") or os.cpu_count() or 1)
"""Mutants at a time."""
ALL = ("deployment", "large", "libraries", "market", "registry", "reputation", "rounds", "stateful")
"""What runs after a mutant's own tests."""
QUICK_TESTS = "not optimised"
PYTEST = (str(ROOT / ".venv/bin/python"), "-m", "pytest", "-n", "0", "--no-header")


class Unending(Exception):
    """The tests were stopped after TEST_SECONDS: the mutant may loop, or the machine be busy."""


_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


def _digest(facts: Any) -> str:
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class Progress:
    """Results of earlier runs, valid as long as the sources and the tests are unchanged."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._found: dict[str, dict[str, Any]] = (
            json.loads(file.read_text()) if file.exists() else {}
        )
        self._lock = Lock()

    def outcome(self, digest: str) -> Outcome | None:
        """What became of the mutant of this digest; None if that is unknown."""
        one = self._found.get(digest)
        if one is None:
            return None
        if one.get("same_code"):
            return Outcome(same_code=True)
        if one["tests"] != _tests_digest(one["killed_by"]):
            return None
        if one["killed_by"] and not (ROOT / one["killed_by"].split("::")[0]).exists():
            return None
        return Outcome(killed_by=one["killed_by"])

    def add(self, digest: str, outcome: Outcome) -> None:
        with self._lock:
            self._found[digest] = {
                "killed_by": outcome.killed_by,
                "same_code": outcome.same_code,
                "tests": _tests_digest(outcome.killed_by),
            }
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps(self._found, indent=1))
            fresh.replace(self._file)


def _tests_digest(killed_by: str) -> str:
    """Hash of the given test's file, or of all tests if none is given."""
    all_files = (path for folder in (TESTS, SUPPORT) for path in (ROOT / folder).rglob("*.py"))
    files = [killed_by.split("::")[0]] if killed_by else sorted(all_files)
    return _digest([path.read_text() for path in (ROOT / file for file in files) if path.exists()])


def last_killers(file: Path = RESULTS) -> dict[tuple[str, str], str]:
    """The test file that killed each mutant (file, effect) in the last results."""
    if not file.exists():
        return {}
    return {
        (one["file"], one["breaks"]): one["killed_by"].split("::")[0].removeprefix(f"{TESTS}/")
        for one in json.loads(file.read_text())["each"]
        if "killed_by" in one
    }


class Tree:
    """A copy of everything the contract tests need, in its own folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            source, target = ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("node_modules"))
            else:
                shutil.copy(source, target)
        for name in LINKED:
            (folder / name).symlink_to(ROOT / name)

    def first_failure(self, built: Built, tests: Sequence[str], marked: str = QUICK_TESTS) -> str:
        """Name of the first test under tests/contracts that fails; empty if all pass.

        Raises RuntimeError if the tests could not be run, Unending if they had to be stopped.
        """
        return self.first_failure_of(built, [f"{TESTS}/{test}" for test in tests], marked)

    def first_failure_of(
        self, built: Built, tests: Sequence[str], marked: str = QUICK_TESTS
    ) -> str:
        """As first_failure, for tests as pytest names them."""
        with self._changed(built):
            try:
                ran = subprocess.run(
                    [*PYTEST, "-x", "-m", f"not slow and {marked}", *tests],
                    cwd=self.folder,
                    env={**os.environ, "MUTANT": str(built.switch)},
                    capture_output=True,
                    text=True,
                    timeout=TEST_SECONDS,
                    preexec_fn=end_with_parent,
                )
            except subprocess.TimeoutExpired as error:
                raise Unending(f"the tests did not end in {TEST_SECONDS} seconds") from error
        if ran.returncode in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            return ""
        failed = _FAILED.search(ran.stdout)
        if ran.returncode != 1 or failed is None:
            raise RuntimeError(f"pytest ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return failed[1]

    def killed(
        self, built: Built, living: dict[int, list[str]], until: float | None
    ) -> Iterator[tuple[int, str]]:
        """Runs all tests in which any of the living may fail, each test with all of these, and
        gives the number of each that is killed and the test. `living`: tests by number.

        Raises RuntimeError if the tests could not be run.
        """
        given, found = self.folder / "living.json", self.folder / "killed"
        given.write_text(json.dumps(living))
        found.write_text("")
        facts = {"MUTANT": "0", "MUTANTS": str(given), "KILLED": str(found)}
        wanted = {test for some in living.values() for test in some}
        # Given a folder and one of its files, pytest runs the file alone.
        tests = sorted(one for one in wanted if not wanted & {*map(str, Path(one).parents)})
        options = ("-m", f"not slow and {QUICK_TESTS}", "-o", "timeout=0")
        command = [*PYTEST, *options, "-p", "scripts.mutation_plugin", *tests]
        with self._changed(built), (self.folder / "output").open("w") as output:
            ran = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **facts},
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=end_with_parent,
            )
            seen, left, running = 0, set(living), True
            try:
                while running:
                    time.sleep(1)
                    running = ran.poll() is None and (until is None or time.monotonic() < until)
                    lines = found.read_text().splitlines()
                    for line in lines[seen:]:
                        number, test = line.split(" ", 1)
                        left.discard(int(number))
                        yield int(number), test
                    seen = len(lines)
            finally:
                ran.terminate()
                ran.wait()
        # With none left alive, the plugin interrupts the run.
        expected = (0, -signal.SIGTERM) if left else (pytest.ExitCode.INTERRUPTED,)
        if ran.returncode not in expected:
            raise RuntimeError(
                f"pytest ended with {ran.returncode}:\n{(self.folder / 'output').read_text()}"
            )

    @contextmanager
    def _changed(self, built: Built) -> Iterator[None]:
        cache = self.folder / contracts.CACHE.relative_to(ROOT)
        cache.mkdir(parents=True)
        file = self.folder / built.changed.file
        text = file.read_text()
        try:
            for name, compiled in built.kept:
                (cache / name).write_text(json.dumps(compiled))
            file.write_text(built.changed.applied(text))
            yield
        finally:
            file.write_text(text)
            shutil.rmtree(cache)


def tried(tree: Tree, sources: Sources, mutant: Mutant, last: str = "") -> Outcome:
    """The first test that kills the mutant, if any does. `last`: the file to try first.

    Raises CompileError if it does not compile, Unending if its tests had to be stopped.
    """
    built = sources.built(mutant)
    stages = [(test,) for test in mutant.tests]
    if (ROOT / TESTS / last).is_file():
        stages.insert(0, (last,))
    found = (tree.first_failure(built, tests) for tests in stages)
    if failed := next((one for one in found if one), ""):
        return Outcome(killed_by=failed)
    # Only now: few come here, and this takes the longest.
    optimised = sources.optimised(mutant)
    if optimised is None:
        return Outcome(same_code=True)
    failed = tree.first_failure(built, ALL)
    return Outcome(killed_by=failed or tree.first_failure(optimised, [""], "optimised"))


def swept(
    tree: Tree, sources: Sources, mutants: Sequence[Mutant], until: float | None
) -> Iterator[tuple[Mutant, str]]:
    """Those with a switch that a test kills, and the test: their own tests first, then all."""
    living = sources.switches(mutants)
    for tests in (lambda mutant: mutant.tests, lambda _: ALL):
        wanted = {
            number: [f"{TESTS}/{one}" for one in tests(mutant)] for number, mutant in living.items()
        }
        if not wanted or (until is not None and time.monotonic() > until):
            return
        for number, test in tree.killed(sources.unbroken(), wanted, until):
            if number == 0:
                print(f"{test} fails without a mutant: mark it optimised", flush=True)
            else:
                yield living.pop(number), test


def run_all(
    mutants: Sequence[Mutant], until: float | None = None, new: int | None = None
) -> list[Outcome | None]:
    """The result of each mutant, WORKERS at a time; None if it was not begun.

    Args:
        until: time.monotonic() from which no mutant is begun; none if there is no such time.
        new: how many are begun besides those whose result is known; all if it is None.

    Raises ValueError if one does not fit the sources, RuntimeError if a test that killed one also
    fails without it, Unending if these tests had to be stopped.
    """
    for mutant in mutants:
        mutant.applied((ROOT / mutant.file).read_text())
    sources, progress, last = Sources(mutants), Progress(PROGRESS), last_killers()
    known = {mutant: progress.outcome(_digest([sources.texts(mutant)])) for mutant in mutants}
    fresh = [mutant for mutant in mutants if known[mutant] is None][:new]
    with tempfile.TemporaryDirectory(prefix="fedpact-mutation-") as folder:
        alone: set[str] = set()
        trees: SimpleQueue[Tree] = SimpleQueue()
        for number in range(WORKERS):
            trees.put(Tree(Path(folder) / str(number)))

        def told(mutant: Mutant, outcome: Outcome) -> Outcome:
            print(f"{mutant.name}: {outcome.killed_by or outcome.state(mutant)}", flush=True)
            known[mutant] = outcome
            return outcome

        def many(some: Sequence[Mutant]) -> None:
            tree = trees.get()
            for mutant, test in swept(tree, sources, some, until):
                outcome = told(mutant, Outcome(killed_by=test))
                progress.add(_digest([sources.texts(mutant)]), outcome)
            trees.put(tree)

        def one(mutant: Mutant) -> None:
            if known[mutant] is not None or (until is not None and time.monotonic() > until):
                return
            tree = trees.get()
            try:
                began = last.get((mutant.file, mutant.breaks), "")
                outcome = told(mutant, tried(tree, sources, mutant, began))
                alone.add(outcome.killed_by)
                progress.add(_digest([sources.texts(mutant)]), outcome)
            except contracts.CompileError as error:
                told(mutant, Outcome(complaint=str(error)))
            except Unending:
                told(mutant, Outcome(unending=True))  # not kept: the next run tries it again
            finally:
                trees.put(tree)

        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(many, (fresh[i::WORKERS] for i in range(WORKERS))))
            list(pool.map(one, fresh))
        killers = sorted(alone - {""})
        failed = trees.get().first_failure_of(sources.unbroken(), killers) if killers else ""
    if failed:
        raise RuntimeError(f"{failed} fails without any mutant: fix it first")
    return [known[mutant] for mutant in mutants]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Mutation test of the contracts")
    parser.add_argument(
        "--only", default="", help="only mutants whose file or effect contains this"
    )
    parser.add_argument("--sample", type=int, default=150, help="how many; 150 by default")
    parser.add_argument("--new", type=int, help="begin no more than so many")
    parser.add_argument("--minutes", type=float, help="begin no mutant after so many minutes")
    return parser.parse_args()


def main() -> int:
    given = _arguments()
    population = sampled_mutants()
    mutants = [mutant for mutant in population[: given.sample] if given.only in mutant.name]
    until = None if given.minutes is None else time.monotonic() + 60 * given.minutes
    try:
        outcomes = run_all(mutants, until, given.new)
    except (ValueError, RuntimeError, Unending, contracts.CompileError) as error:
        print(error, file=sys.stderr)
        return 1
    # A change that the compiler refuses is no mutant.
    done = [
        (one, found)
        for one, found in zip(mutants, outcomes, strict=True)
        if found and not found.complaint
    ]
    wrong = [
        f"{mutant.name}: {complaint}"
        for mutant, found in done
        if (complaint := found.wrong(mutant))
    ]
    for line in wrong:
        print(line)
    killed = sum(bool(found.killed_by) for _, found in done)
    print(f"{len(done)} mutants, {killed} killed, {len(wrong)} wrong")
    if not any(outcomes):
        print(f"nothing ran: {RESULTS.name} stays as it is", file=sys.stderr)
        return 1
    if not given.only:
        command = shlex.join(["python", "-m", "scripts.mutation", *sys.argv[1:]])
        results = report(mutants, outcomes, len(population), command)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
