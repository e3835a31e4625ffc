"""Break the contracts in small ways, one at a time, and see which test notices.

    python scripts/mutation.py              all of tests/contracts/mutation/mutants.toml
    python scripts/mutation.py --only TEXT  those whose file or effect contains TEXT; writes nothing

Each mutant is a copy of the sources with one place changed, in a temporary folder; the checkout
stays as it is. Only the contracts that the change reaches are compiled, once. Then the tests named
with the mutant run, then the other contract tests, then the stateful machine, until one fails.
Results: docs/results/mutation.json. Exit 1 for a mutant that all tests let pass and that
mutants.toml does not explain as equivalent, and for such an explanation that a test refutes.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import compile as contracts  # scripts/compile.py

ROOT = contracts.ROOT
LIST = ROOT / "tests" / "contracts" / "mutation" / "mutants.toml"
RESULTS = ROOT / "docs" / "results" / "mutation.json"

COPIED = ("contracts", "tests/contracts", "tests/vectors", "scripts", "pyproject.toml")
LINKED = (".venv", "node_modules", "offchain", "tests/conftest.py")
TESTS = "tests/contracts"
LIBRARIES = ("unit/libraries",)
"""These tests look at a harness alone: the deployed contracts need not be compiled for them."""
QUICK = ("unit", "attacks", "test_life.py")
THOROUGH = ("stateful",)
TEST_SECONDS = 900
WORKERS = 2

_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)

Compiled = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Mutant:
    """`old`, which stands once in `file`, becomes `new`; `tests` are the likeliest to notice."""

    file: str
    old: str
    new: str
    breaks: str
    tests: tuple[str, ...]
    equivalent: str = ""
    """Why no test can notice; empty where one must."""

    @property
    def name(self) -> str:
        return f"{self.file.removeprefix('contracts/')}: {self.breaks}"

    def applied(self, text: str) -> str:
        """The changed source. Raises ValueError where `old` does not stand there exactly once."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"{self.name}: found {found} times: {self.old}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: the first test that failed, or what the compiler said against it."""

    killed_by: str = ""
    complaint: str = ""

    def wrong(self, mutant: Mutant) -> str:
        """What has to be mended; empty where nothing has."""
        if self.complaint:
            return f"does not compile: {self.complaint}"
        if self.killed_by and mutant.equivalent:
            return f"is killed by {self.killed_by}, though explained as equivalent"
        return "" if self.killed_by or mutant.equivalent else "no test notices"


def read_mutants(file: Path = LIST) -> list[Mutant]:
    """The list, each with its own tests or else those that the list names for its file."""
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    return [
        Mutant(**{**entry, "tests": tuple(entry.get("tests", content["tests"][entry["file"]]))})
        for entry in content["mutant"]
    ]


class Sources:
    """The sources as they are, in the groups in which the tests compile them."""

    def __init__(self) -> None:
        deployed = [ROOT / "contracts" / f"{name}.sol" for name in contracts.DEPLOYED]
        harnesses = sorted((ROOT / TESTS / "harness").glob("*.sol"))
        groups: list[list[Path]] = [deployed, *([one] for one in harnesses)]
        self.groups = [contracts.read_sources(group) for group in groups]
        self.compiled: list[Compiled] = [contracts.compile_contracts(group) for group in groups]

    def kept(
        self, mutant: Mutant | None, *, deployed: bool = True
    ) -> Iterator[tuple[str, Compiled]]:
        """What the tests find compiled: name in the cache and content, by group.

        `deployed`: the mutant is in the deployed contracts too, not in the harnesses alone.
        Raises ValueError where the mutant does not fit, CompileError where it does not compile.
        """
        for (texts, wanted), compiled in zip(self.groups, self.compiled, strict=True):
            if mutant is None or mutant.file not in texts:
                yield contracts.kept_name(texts, wanted), compiled
                continue
            changed = {**texts, mutant.file: mutant.applied(texts[mutant.file])}
            fresh = dict(compiled)
            for unit in wanted if deployed or len(wanted) == 1 else ():
                reached = _reached(unit, changed)
                if mutant.file in reached:
                    fresh |= contracts.compile_texts(reached, [unit])
            yield contracts.kept_name(changed, wanted), fresh


def _reached(unit: str, texts: dict[str, str]) -> dict[str, str]:
    """The texts that one source imports, directly or not, its own among them."""
    names = contracts.read_sources([ROOT / unit])[0]
    return {name: texts[name] for name in names}


class Tree:
    """A copy of what the contract tests need, in a folder of its own."""

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
        self, sources: Sources, mutant: Mutant | None, *, deployed: bool = True
    ) -> Iterator[None]:
        """The mutant, compiled, for as long as the block lasts; `deployed` as in Sources.kept."""
        cache = self.folder / contracts.CACHE.relative_to(ROOT)
        cache.mkdir(parents=True)
        file = self.folder / mutant.file if mutant else None
        text = file.read_text() if file else ""
        try:
            for name, compiled in sources.kept(mutant, deployed=deployed):
                (cache / name).write_text(json.dumps(compiled))
            if file and mutant:
                file.write_text(mutant.applied(text))
            yield
        finally:
            if file:
                file.write_text(text)
            shutil.rmtree(cache)

    def first_failure(self, tests: Sequence[str]) -> str:
        """Name of the first test that fails; empty where all pass.

        Raises RuntimeError where the tests could not be run.
        """
        named = [f"{TESTS}/{test}" for test in tests]
        options = ["-n", "0", "-x", "--no-header", "-m", "not slow"]
        command = [str(self.folder / ".venv/bin/python"), "-m", "pytest", *options, *named]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        ran = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TEST_SECONDS,
        )
        if ran.returncode == 0:
            return ""
        failed = _FAILED.search(ran.stdout)
        if ran.returncode != 1 or failed is None:
            raise RuntimeError(f"pytest ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return failed[1]


def killer(tree: Tree, sources: Sources, mutant: Mutant) -> str:
    """The test that notices the mutant; empty where none does.

    Raises CompileError where it does not compile.
    """
    stages = [mutant.tests, QUICK, THOROUGH]
    if mutant.tests == LIBRARIES:
        with tree.mutated(sources, mutant, deployed=False):
            failed = tree.first_failure(stages.pop(0))
        if failed:
            return failed
    with tree.mutated(sources, mutant):
        found = (tree.first_failure(tests) for tests in stages)
        return next((failed for failed in found if failed), "")


def run_all(mutants: Sequence[Mutant]) -> list[Outcome]:
    """What becomes of each mutant, WORKERS at a time.

    Raises ValueError where one does not fit the sources, RuntimeError where the tests fail without
    any.
    """
    for mutant in mutants:
        mutant.applied((ROOT / mutant.file).read_text())
    sources = Sources()
    with tempfile.TemporaryDirectory(prefix="fedpact-mutation-") as folder:
        trees: SimpleQueue[Tree] = SimpleQueue()
        first, *others = (Tree(Path(folder) / str(number)) for number in range(WORKERS))
        with first.mutated(sources, None):
            failed = first.first_failure(QUICK)
        if failed:
            raise RuntimeError(f"{failed} fails without any mutant")
        for tree in (first, *others):
            trees.put(tree)

        def one(mutant: Mutant) -> Outcome:
            tree = trees.get()
            try:
                outcome = Outcome(killed_by=killer(tree, sources, mutant))
            except contracts.CompileError as error:
                outcome = Outcome(complaint=str(error))
            finally:
                trees.put(tree)
            print(f"{mutant.name}: {outcome.killed_by or 'lives'}", flush=True)
            return outcome

        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(one, mutants))


def report(mutants: Sequence[Mutant], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What docs/results/mutation.json holds."""
    entries = [
        {
            "file": mutant.file,
            "breaks": mutant.breaks,
            **(
                {"killed_by": outcome.killed_by}
                if outcome.killed_by
                else {"equivalent": mutant.equivalent}
            ),
        }
        for mutant, outcome in zip(mutants, outcomes, strict=True)
    ]
    killed = sum(bool(outcome.killed_by) for outcome in outcomes)
    return {
        "command": "make mutation",
        "compiler": contracts.COMPILER,
        "mutants": len(mutants),
        "killed": killed,
        "equivalent": len(mutants) - killed,
        "each": entries,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutation test of the contracts")
    parser.add_argument("--only", default="", help="mutants whose file or effect contains this")
    only = parser.parse_args().only
    mutants = [mutant for mutant in read_mutants() if only in mutant.name]
    try:
        outcomes = run_all(mutants)
    except (ValueError, RuntimeError, contracts.CompileError) as error:
        print(error, file=sys.stderr)
        return 1
    wrong = [
        f"{mutant.name}: {complaint}"
        for mutant, outcome in zip(mutants, outcomes, strict=True)
        if (complaint := outcome.wrong(mutant))
    ]
    for line in wrong:
        print(line)
    killed = sum(bool(outcome.killed_by) for outcome in outcomes)
    print(f"{len(mutants)} mutants, {killed} killed, {len(wrong)} to be mended")
    if not only and not wrong:
        RESULTS.write_text(json.dumps(report(mutants, outcomes), indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
