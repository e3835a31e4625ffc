"""Break the contracts in small ways, one at a time, and check that a test fails each time.

    python -m scripts.mutation              a sample of 150
    python -m scripts.mutation --only TEXT  those whose file or effect contains TEXT; writes nothing
    python -m scripts.mutation --sample 20 --minutes 60
                                            the first 20, if time allows
    python -m scripts.mutation --new 3      three more than before, then the report of all
    WORKERS=1 python -m scripts.mutation    one at a time; by default as many as processors

Each mutant is a copy of the sources with one change, in a temporary folder; the checkout is not
touched. Only the contracts that depend on the change are compiled, once. Where the compiler makes
the same code of them as before, no test can tell, and none runs. Else tests run until one fails:
first the file that failed last time, then those named in mutants.toml, then all. At the end, all
tests that failed must pass without a mutant.
Results so far are in .cache/mutation.json: an interrupted run resumes, and a mutant is tried again
only when its sources or the tests concerned have changed.
Results: docs/results/mutation.json, which stays as it is if no mutant has ever run. Exit status 1
for a mutant that passes all tests unless mutants.toml explains it as equivalent, for an explanation
that a test refutes, and if nothing ran.
"""

import argparse
import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

from scripts import compile as contracts
from scripts.mutants import Mutant, sampled_mutants
from scripts.mutation_report import Outcome, report

ROOT = contracts.ROOT
RESULTS = ROOT / "docs" / "results" / "mutation.json"
PROGRESS = ROOT / ".cache" / "mutation.json"

COPIED = (
    "contracts",
    "tests/contracts",
    "tests/support",
    "tests/vectors",
    "scripts",
    "pyproject.toml",
)
LINKED = (".venv", "node_modules", "offchain", "tests/__init__.py", "tests/conftest.py")
TESTS = "tests/contracts"
SUPPORT = "tests/support"
LIBRARIES = "libraries"
"""These tests use only a harness; they do not need the deployed contracts compiled."""
TEST_SECONDS = 1_800
WORKERS = int(os.environ.get("WORKERS") or os.cpu_count() or 1)
"""Mutants at a time."""
ALL = ("deployment", "large", "libraries", "market", "registry", "reputation", "rounds", "stateful")
"""What runs after a mutant's own tests."""


class Unending(Exception):
    """The tests were stopped after TEST_SECONDS: the mutant may loop, or the machine be busy."""


_METADATA = re.compile("a2646970667358221220[0-9a-f]{64}64736f6c6343[0-9a-f]{6}0033")
"""The hash of a contract's sources, which solc puts behind its code."""
_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)

Compiled = dict[str, dict[str, Any]]


class Sources:
    """The unchanged sources, in the groups in which the tests compile them."""

    def __init__(self) -> None:
        groups = (contracts.DEPLOYED.sources, contracts.HARNESSES.sources)
        self.groups = [contracts.read_sources(group) for group in groups]
        self.compiled: list[Compiled] = [contracts.compile_contracts(group) for group in groups]

    def kept(
        self, mutant: Mutant | None, *, deployed: bool = True
    ) -> Iterator[tuple[str, Compiled]]:
        """What the tests need from the compiler's cache: file name and content, by group.

        `deployed`: the mutant is in the deployed contracts too, not only in the harnesses.
        Raises ValueError if the mutant does not fit, CompileError if it does not compile.
        """
        groups = zip(self.groups, self.compiled, (deployed, True), strict=True)
        for (texts, wanted), compiled, mutated in groups:
            if mutant is None or mutant.file not in texts:
                yield contracts.kept_name(texts, wanted), compiled
                continue
            changed = {**texts, mutant.file: mutant.applied(texts[mutant.file])}
            units = [unit for unit in wanted if mutated and mutant.file in _reached(unit, changed)]
            reached = {
                name: text for unit in units for name, text in _reached(unit, changed).items()
            }
            fresh = contracts.compile_texts(reached, units) if units else {}
            yield contracts.kept_name(changed, wanted), {**compiled, **fresh}

    def unchanged(self, kept: Iterable[tuple[str, Compiled]]) -> bool:
        """Whether all code is as without a mutant; sources' hashes apart."""
        pairs = zip(kept, self.compiled, strict=True)
        return all(_code(now) == _code(before) for (_, now), before in pairs)

    def digest(self, mutant: Mutant) -> str:
        """Hash of the mutated source and of everything compiled together with it."""
        units = [unit for _, wanted in self.groups for unit in wanted]
        reached = [contracts.read_sources([ROOT / unit])[0] for unit in units]
        texts = {n: text for some in reached if mutant.file in some for n, text in some.items()}
        return _digest([{**texts, mutant.file: mutant.applied(texts[mutant.file])}])


def _reached(unit: str, texts: dict[str, str]) -> dict[str, str]:
    """The text of one source and of its direct and indirect imports."""
    return {name: texts[name] for name in _imports(unit)}


@functools.cache
def _imports(unit: str) -> tuple[str, ...]:
    return tuple(contracts.read_sources([ROOT / unit])[0])


def _code(compiled: Compiled) -> dict[str, str]:
    return {name: _METADATA.sub("", one["bytecode"]) for name, one in compiled.items()}


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

    @contextmanager
    def mutated(
        self, kept: Iterable[tuple[str, Compiled]], mutant: Mutant | None
    ) -> Iterator[None]:
        """The mutant within the block, compiled as in Sources.kept."""
        cache = self.folder / contracts.CACHE.relative_to(ROOT)
        cache.mkdir(parents=True)
        file = self.folder / mutant.file if mutant else None
        text = file.read_text() if file else ""
        try:
            for name, compiled in kept:
                (cache / name).write_text(json.dumps(compiled))
            if file and mutant:
                file.write_text(mutant.applied(text))
            yield
        finally:
            if file:
                file.write_text(text)
            shutil.rmtree(cache)

    def first_failure(self, tests: Sequence[str]) -> str:
        """Name of the first test under tests/contracts that fails; empty if all pass.

        Raises RuntimeError if the tests could not be run, Unending if they had to be stopped.
        """
        return self.first_failure_of([f"{TESTS}/{test}" for test in tests])

    def first_failure_of(self, tests: Sequence[str]) -> str:
        """As first_failure, for tests as pytest names them."""
        options = ["-n", "0", "-x", "--no-header", "-m", "not slow"]
        command = [str(self.folder / ".venv/bin/python"), "-m", "pytest", *options, *tests]
        try:
            ran = subprocess.run(
                command,
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=TEST_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise Unending(f"the tests did not end in {TEST_SECONDS} seconds") from error
        if ran.returncode == 0:
            return ""
        failed = _FAILED.search(ran.stdout)
        if ran.returncode != 1 or failed is None:
            raise RuntimeError(f"pytest ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return failed[1]


def tried(tree: Tree, sources: Sources, mutant: Mutant, last: str = "") -> Outcome:
    """The first test that kills the mutant, if any does. `last`: the file to try first.

    Raises CompileError if it does not compile, Unending if its tests had to be stopped.
    """
    stages = [*((test,) for test in mutant.tests), ALL]
    if (ROOT / TESTS / last).is_file():
        stages.insert(0, (last,))
    if mutant.tests[:1] and mutant.tests[0] == LIBRARIES:
        with tree.mutated(sources.kept(mutant, deployed=False), mutant):
            failed = tree.first_failure(mutant.tests[:1])
        stages.remove(mutant.tests[:1])
        if failed:
            return Outcome(killed_by=failed)
    kept = list(sources.kept(mutant))
    if sources.unchanged(kept):
        return Outcome(same_code=True)
    with tree.mutated(kept, mutant):
        found = (tree.first_failure(tests) for tests in stages)
        return Outcome(killed_by=next((failed for failed in found if failed), ""))


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
    sources, progress, last = Sources(), Progress(PROGRESS), last_killers()
    with tempfile.TemporaryDirectory(prefix="fedpact-mutation-") as folder:
        trees: SimpleQueue[Tree] = SimpleQueue()
        begun = count()
        for number in range(WORKERS):
            trees.put(Tree(Path(folder) / str(number)))

        def one(mutant: Mutant) -> Outcome | None:
            digest = sources.digest(mutant)
            known = progress.outcome(digest)
            if known is not None:
                return known
            tree = trees.get()
            late = until is not None and time.monotonic() > until
            if late or (new is not None and next(begun) >= new):
                trees.put(tree)
                return None
            try:
                began = last.get((mutant.file, mutant.breaks), "")
                outcome = tried(tree, sources, mutant, began)
                progress.add(digest, outcome)
            except contracts.CompileError as error:
                outcome = Outcome(complaint=str(error))
            except Unending:
                outcome = Outcome(unending=True)  # not kept: the next run tries it again
            finally:
                trees.put(tree)
            print(f"{mutant.name}: {outcome.killed_by or outcome.state(mutant)}", flush=True)
            return outcome

        with ThreadPoolExecutor(WORKERS) as pool:
            outcomes = list(pool.map(one, mutants))
        tree, killers, failed = trees.get(), killers_of(outcomes), ""
        if killers:
            with tree.mutated(sources.kept(None), None):
                failed = tree.first_failure_of(killers)
    if failed:
        raise RuntimeError(f"{failed} fails without any mutant: fix it first")
    return outcomes


def killers_of(outcomes: Sequence[Outcome | None]) -> list[str]:
    """Each test that killed a mutant, once."""
    found = {outcome.killed_by for outcome in outcomes if outcome and outcome.killed_by}
    return sorted(found)


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
