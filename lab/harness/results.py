"""Results of cases as JSON Lines, one file per experiment and scale."""

import contextlib
import json
import math
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lab.errors import ExperimentError
from lab.harness.checkpoint import Saved
from lab.harness.configuration import Case

RESULT_VERSION = 1
CASES = "cases"
"""Folder of the results of single cases."""
RESULT_SUFFIX = ".jsonl"
LOCK_SUFFIX = ".lock"
PACKAGES = ("fedpact", "numpy", "torch", "scikit-learn")


@dataclass(frozen=True)
class Result:
    """The result of one case."""

    case: dict[str, Any]
    identity: str
    metrics: dict[str, float]
    curves: dict[str, list[float]]
    privacy: dict[str, Any]
    details: dict[str, Any]
    seconds: float
    provenance: dict[str, Any]

    @classmethod
    def of(cls, case: Case, outcome: Mapping[str, Any], seconds: float) -> "Result":
        """The result from what a kind returned; raises ExperimentError if that is malformed."""
        unknown = set(outcome) - {"metrics", "ratios", "curves", "privacy", "details"}
        if unknown:
            raise ExperimentError(f"{case.name}: result with unknown parts {sorted(unknown)}")
        metrics = {name: float(value) for name, value in outcome["metrics"].items()}
        for name, value in metrics.items():
            if not (math.isfinite(value) and 0 <= value <= 1):
                raise ExperimentError(f"{case.name}: metric {name} is {value}, not from 0 to 1")
        for name, value in outcome.get("ratios", {}).items():
            if not (math.isfinite(value) and value >= 0):
                raise ExperimentError(f"{case.name}: ratio {name} is {value}, not 0 or more")
            metrics[name] = float(value)
        return cls(
            case.described(),
            case.identity,
            metrics,
            {name: [float(one) for one in curve] for name, curve in _curves(outcome)},
            {"mode": "none", "epsilon": None, "delta": None, **outcome.get("privacy", {})},
            dict(outcome.get("details", {})),
            round(seconds, 2),
            provenance(case.device.value),
        )


Slot = tuple[str, str, int]
"""(partition, method, seed): a file has one result for each."""


class ResultFolder:
    """Results of cases, one JSON Lines file per experiment and scale, and unfinished cases' states.

    Only the process that holds a file's lock (`locked`) writes it. Each line is appended and
    flushed to disk before the next, so a killed run loses at most the line it was writing. A last
    line without its newline is such a torn line: it is ignored, and cut off by the next write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / CASES
        self._read: dict[Path, dict[Slot, Result]] = {}

    def path(self, case: Case) -> Path:
        """The file with the case's result."""
        return self.folder / case.scale.value / f"{case.experiment}{RESULT_SUFFIX}"

    @contextlib.contextmanager
    def locked(self, cases: Iterable[Case]) -> Iterator[None]:
        """Hold the locks of the cases' files, so that no other run writes them.

        Raises ExperimentError if another run holds one of them.
        """
        with contextlib.ExitStack() as held:
            for path in sorted({self.path(case) for case in cases}):
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    held.enter_context(FileLock(f"{path}{LOCK_SUFFIX}", blocking=False))
                except Timeout:
                    raise ExperimentError(
                        f"{path} is in use by another run: wait until it ends, or give another"
                        " --output"
                    ) from None
            yield

    def finished(self, case: Case) -> bool:
        """Whether this case has a result; one of other settings does not count.

        Raises ExperimentError for a corrupt file.
        """
        found = self._results(self.path(case)).get((case.partition, case.method, case.seed))
        return found is not None and found.identity == case.identity

    def write(self, case: Case, result: Result) -> None:
        """Write the result, replacing an earlier one of its slot, and delete the saved state.

        Raises ExperimentError for values that JSON cannot hold and for a corrupt file.
        """
        line = _line(case, result)
        path, slot = self.path(case), _slot(result)
        results = self._results(path)
        replaced = slot in results
        results[slot] = result
        if replaced:
            write_whole(path, b"".join(_line(case, one) for one in results.values()))
        else:
            _append(path, line)
        self._state_path(case).unlink(missing_ok=True)

    def all(self) -> list[Result]:
        """Every result in the folder, ordered by file, partition, method and seed."""
        return [
            result
            for path in sorted(self.folder.rglob(f"*{RESULT_SUFFIX}"))
            for _, result in sorted(self._results(path).items())
        ]

    def _results(self, path: Path) -> dict[Slot, Result]:
        if path not in self._read:
            self._read[path] = read(path)
        return self._read[path]

    def save(self, case: Case, saved: Saved) -> None:
        """Save a state from which the case can resume."""
        head = json.dumps({"identity": case.identity, "seconds": round(saved.seconds, 2)})
        write_whole(self._state_path(case), head.encode() + b"\n" + saved.state)

    def resumed(self, case: Case) -> Saved | None:
        """The last saved state of this case, or None.

        Raises ExperimentError for a corrupt file.
        """
        path = self._state_path(case)
        if not path.exists():
            return None
        head, _, state = path.read_bytes().partition(b"\n")
        try:
            facts = json.loads(head)
            return (
                Saved(state, float(facts["seconds"]))
                if facts["identity"] == case.identity
                else None
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ExperimentError(
                f"{path} is corrupt: delete it, and the case starts from its first round"
            ) from error

    def _state_path(self, case: Case) -> Path:
        return self.folder / case.state_path


def read(path: Path) -> dict[Slot, Result]:
    """The last result of each slot in a file; empty if the file does not exist.

    Raises ExperimentError naming the malformed line.
    """
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise ExperimentError(f"{path} cannot be read: {error.strerror}") from error
    found: dict[Slot, Result] = {}
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            result = _parsed(line)
            if result is not None:
                found[_slot(result)] = result
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ExperimentError(
                f"{path}, line {number} is not a result ({error}): delete the line and run the "
                "experiment again"
            ) from error
    return found


def _parsed(line: bytes) -> Result | None:
    content = json.loads(line)
    if content.pop("version") != RESULT_VERSION:
        raise ValueError(f"its version is not {RESULT_VERSION}")
    if content.pop("skipped", None) is not None:
        return None  # earlier versions wrote a line for a skipped case too
    result = Result(**content)
    for kept, form in (
        (result.case, dict),
        (result.identity, str),
        (result.metrics, dict),
        (result.curves, dict),
        (result.privacy, dict),
        (result.details, dict),
        (result.provenance, dict),
    ):
        if not isinstance(kept, form):
            raise TypeError(f"{kept!r} instead of a {form.__name__}")
    return result


def _slot(result: Result) -> Slot:
    case = result.case
    return str(case["partition"]), str(case["method"]), int(case["seed"])


def _line(case: Case, result: Result) -> bytes:
    content = {"version": RESULT_VERSION, **vars(result)}
    try:
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise ExperimentError(f"{case.name}: its result cannot be written: {error}") from error


def _append(path: Path, line: bytes) -> None:
    """Append a line and flush it to disk; cut off a torn line before it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically; create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def provenance(device: str) -> dict[str, Any]:
    """The code and machine that made a result."""
    commit, changed = _commit()
    return {
        "commit": commit,
        "uncommitted_changes": changed,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "device": device,
    }


def _curves(outcome: Mapping[str, Any]) -> Iterable[tuple[str, Iterable[float]]]:
    curves: Mapping[str, Iterable[float]] = outcome.get("curves", {})
    return curves.items()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@lru_cache(maxsize=1)
def _commit() -> tuple[str | None, bool | None]:
    """The checkout's commit, and whether files in lab/ or offchain/ differ from it."""
    here = Path(__file__).parent
    try:
        head = _git(here, "rev-parse", "HEAD")
        root = Path(_git(here, "rev-parse", "--show-toplevel").strip())
        changed = _git(root, "status", "--porcelain", "--", "lab", "offchain").strip()
        return head.strip(), bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return None, None


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    ).stdout
