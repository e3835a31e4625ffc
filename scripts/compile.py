"""Compile the contracts with solc 0.8.37 through py-solc-x, and keep the artifacts fresh: those of
the wheel, and those of the contracts that tests alone deploy.

    python -m scripts.compile            write stale artifacts
    python -m scripts.compile --check    write nothing; exit 1 and name stale artifacts

`compile_contracts` is the one way to compile here.
Results are cached in .cache/solc by the hash of all inputs.
"""

import argparse
import fcntl
import json
import os
import posixpath
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from fedpact.errors import FedpactError

ROOT = Path(__file__).resolve().parent.parent
SOLC_FOLDER = ROOT / "scripts" / "solc"
CACHE = ROOT / ".cache" / "solc"

COMPILER = "0.8.37"
REMAPPINGS = {"@openzeppelin/": "node_modules/@openzeppelin/"}
SETTINGS: dict[str, Any] = {
    "viaIR": True,
    "optimizer": {"enabled": True, "runs": 1_000},
    "remappings": [f"{prefix}={target}" for prefix, target in REMAPPINGS.items()],
}
QUICK_SETTINGS: dict[str, Any] = {
    **SETTINGS,
    "optimizer": {
        "enabled": True,
        "runs": 1,
        "details": {
            "cse": False,
            "constantOptimizer": False,
            "orderLiterals": False,
            "yul": True,
            "yulDetails": {"optimizerSteps": "dhfoDgvulfnTUtnIf:"},
        },
    },
}
"""For the same behaviour in half the time: less is optimised, so that code is larger and costs more
gas."""
OUTPUTS = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]

_TOO_LARGE = ("3860", "5574")
"""Warnings about code that is larger than a chain takes."""

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_IMPORT = re.compile(r"""\bimport\b[^;"']*["']([^"']+)["']\s*;""")


@dataclass(frozen=True)
class Artifacts:
    """The compiled contracts that are kept in the repository, one JSON file each."""

    names: tuple[str, ...]
    sources: tuple[Path, ...]
    folder: Path

    def paths(self) -> list[Path]:
        return [self.folder / f"{name}.json" for name in self.names]

    def stale(self) -> list[Path]:
        """Those that are missing, or were compiled from other sources than the current ones."""
        current = source_hash(self.sources)
        return [path for path in self.paths() if _recorded_hash(path) != current]

    def write(self) -> None:
        """Compile, and write {abi, bytecode, deployed, sourceHash, compiler} of each.

        `deployed`: the bytes of `bytecode`, from and to, that stay on chain, but for immutables.

        Always compiled together: the other contracts can change a contract's bytecode.
        """
        compiled = compile_contracts(self.sources)
        for path in self.paths():
            contract = compiled[path.stem]
            artifact = {
                "abi": contract["abi"],
                "bytecode": contract["bytecode"],
                "deployed": _span(contract["bytecode"], contract["deployed_bytecode"]),
                "compiler": contract["compiler"],
                "sourceHash": contract["source_hash"],
            }
            _write(path, json.dumps(artifact, indent=1, sort_keys=True) + "\n")


class CompileError(FedpactError):
    """solc's own message, for errors and warnings."""


_DEPLOYED = (
    "DeploymentFactory",
    "LargeRounds",
    "ParticipantRegistry",
    "ReputationLedger",
    "ResaleMarket",
    "SharingMarket",
    "TrainingPool",
    "TrainingRounds",
    "TrainingRoundsSteps",
)
DEPLOYED = Artifacts(
    _DEPLOYED,
    tuple(ROOT / "contracts" / f"{name}.sol" for name in _DEPLOYED),
    ROOT / "offchain" / "fedpact" / "chain" / "artifacts",
)
"""In the wheel."""
HARNESSES = Artifacts(
    (
        "BareToken",
        "CallingToken",
        "ChoosyCaller",
        "CurveHarness",
        "FakePool",
        "FakeRounds",
        "FalseToken",
        "FeeToken",
        "HostilePayee",
        "JudgementHarness",
        "LibraryHarness",
        "ListingToken",
        "OpenRegistry",
        "OwnerWallet",
        "PayoutHarness",
        "PlainToken",
        "PoolPointsHarness",
        "RudeToken",
        "TwoOwnerWallet",
    ),
    tuple(sorted((ROOT / "tests" / "contracts" / "harness").glob("*.sol"))),
    ROOT / "tests" / "contracts" / "harness" / "artifacts",
)
"""Of contracts that tests alone deploy. Kept, since compiling them takes each new checkout 20 s."""


def compile_contracts(
    roots: Iterable[str | Path], settings: dict[str, Any] = SETTINGS
) -> dict[str, dict[str, Any]]:
    """Compile the .sol files named, or found under the folders named, and what they import.

    Returns, by contract name, for the contracts defined in these files: `abi`, `bytecode` and
    `deployed_bytecode` (0x hex), `source` (path in the repository), `source_hash`, `compiler`.
    Raises CompileError for errors, and for warnings about files outside node_modules.
    """
    return compile_once(*read_sources(roots), settings)


def compile_once(
    sources: dict[str, str], wanted: list[str], settings: dict[str, Any] = SETTINGS
) -> dict[str, dict[str, Any]]:
    """As `compile_contracts`, from texts."""
    kept = CACHE / kept_name(sources, wanted, settings)
    if not kept.exists():
        with _alone(kept):
            if not kept.exists():
                _write(kept, json.dumps(compile_texts(sources, wanted, settings)))
    known: dict[str, dict[str, Any]] = json.loads(kept.read_text())
    return known


def current_contracts(kept: Artifacts) -> dict[str, dict[str, Any]]:
    """`abi` and `bytecode` by name: from the artifacts if they are fresh, since compiling takes a
    minute; otherwise compiled."""
    if kept.stale():
        return compile_contracts(kept.sources)
    return {path.stem: json.loads(path.read_text()) for path in kept.paths()}


def read_sources(roots: Iterable[str | Path]) -> tuple[dict[str, str], list[str]]:
    """The text of each source that takes part, by its path in the repository, and the paths of
    those named or under the folders named."""
    wanted = sorted(_unit(file) for root in roots for file in _solidity_files(Path(root)))
    return _with_imports(wanted), wanted


def kept_name(
    sources: dict[str, str], wanted: list[str], settings: dict[str, Any] = SETTINGS
) -> str:
    """Name of the file in .cache/solc that holds the compiled output of these sources."""
    return f"{_hash(sources, wanted, settings)}.json"


def compile_texts(
    sources: dict[str, str], wanted: list[str], settings: dict[str, Any] = SETTINGS
) -> dict[str, dict[str, Any]]:
    """As `compile_once`, without the cache."""
    output = run_solc(standard_input(sources, wanted, settings))
    digest = _hash(sources, wanted, settings)
    return {
        name: {
            "abi": contract["abi"],
            "bytecode": "0x" + contract["evm"]["bytecode"]["object"],
            "deployed_bytecode": "0x" + contract["evm"]["deployedBytecode"]["object"],
            "source": unit,
            "source_hash": digest,
            "compiler": COMPILER,
        }
        for unit in wanted
        for name, contract in output.get("contracts", {}).get(unit, {}).items()
    }


def standard_input(
    sources: dict[str, str], wanted: list[str], settings: dict[str, Any] = SETTINGS
) -> dict[str, Any]:
    """solc's standard JSON input: what a block explorer needs to verify a contract of `wanted`."""
    return {
        "language": "Solidity",
        "sources": {unit: {"content": text} for unit, text in sources.items()},
        "settings": {**settings, "outputSelection": {unit: {"*": OUTPUTS} for unit in wanted}},
    }


def run_solc(standard_input: dict[str, Any]) -> dict[str, Any]:
    """solc's output; raises CompileError for what `compile_contracts` raises it for."""
    os.environ["SOLCX_BINARY_PATH"] = str(SOLC_FOLDER)
    import solcx  # here: it reads the variable on import
    from solcx.exceptions import SolcError

    try:
        output: dict[str, Any] = solcx.compile_standard(
            standard_input, base_path=ROOT, solc_version=COMPILER
        )
    except SolcError as error:
        said = [e["formattedMessage"] for e in error.error_dict or () if _counts(e)]
        raise CompileError("\n".join(said) or error.message) from error
    optimised = standard_input["settings"].get("optimizer") == SETTINGS["optimizer"]
    found = [
        e for e in output.get("errors", ()) if optimised or e.get("errorCode") not in _TOO_LARGE
    ]
    complaints = [e["formattedMessage"] for e in found if _counts(e)]
    if complaints:
        raise CompileError("\n".join(complaints))
    return output


def source_hash(roots: Iterable[str | Path]) -> str:
    """Hex sha-256 over settings, compiler version, every source and import."""
    return _hash(*read_sources(roots), SETTINGS)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile the contracts")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if stale")
    check = parser.parse_args().check
    stale = {kept: kept.stale() for kept in (DEPLOYED, HARNESSES)}
    try:
        for kept, paths in stale.items():
            if paths and not check:
                kept.write()
    except CompileError as error:
        print(error, file=sys.stderr)
        return 1
    found = [path for paths in stale.values() for path in paths]
    if check:
        for path in found:
            print(f"{path.relative_to(ROOT)} is stale: run make contracts", file=sys.stderr)
    return 1 if check and found else 0


def _span(bytecode: str, deployed: str) -> tuple[int, int]:
    """Where the deployed code is in the creation code, in bytes."""
    start = bytecode.index(deployed.removeprefix("0x")) // 2 - 1
    return start, start + len(deployed) // 2 - 1


def _recorded_hash(artifact: Path) -> str | None:
    return json.loads(artifact.read_text())["sourceHash"] if artifact.exists() else None


def _solidity_files(root: Path) -> list[Path]:
    path = root if root.is_absolute() else ROOT / root
    return sorted(path.rglob("*.sol")) if path.is_dir() else [path]


def _unit(file: Path) -> str:
    """Name of a source as solc sees it: its path in the repository."""
    return file.resolve().relative_to(ROOT).as_posix()


def _with_imports(units: list[str]) -> dict[str, str]:
    """Source text by name, of these and all their direct and indirect imports."""
    found: dict[str, str] = {}
    waiting = list(units)
    while waiting:
        unit = waiting.pop()
        if unit in found:
            continue
        path = ROOT / unit
        if not path.is_file():
            raise CompileError(f"{unit}: no such file (npm ci installs node_modules)")
        found[unit] = path.read_text(encoding="utf-8")
        for target in _IMPORT.findall(_COMMENT.sub("", found[unit])):
            waiting.append(_resolve(target, unit))
    return found


def _resolve(target: str, importer: str) -> str:
    if target.startswith("."):
        return posixpath.normpath(posixpath.join(posixpath.dirname(importer), target))
    for prefix, folder in REMAPPINGS.items():
        if target.startswith(prefix):
            return folder + target.removeprefix(prefix)
    return target


def _hash(sources: dict[str, str], wanted: list[str], settings: dict[str, Any]) -> str:
    facts = [COMPILER, settings, OUTPUTS, wanted, sources]
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _counts(error: dict[str, Any]) -> bool:
    """Errors, and warnings about our own sources."""
    path = (error.get("sourceLocation") or {}).get("file", "")
    foreign = path.startswith("node_modules/")
    return error["severity"] == "error" or (error["severity"] == "warning" and not foreign)


@contextmanager
def _alone(kept: Path) -> Iterator[None]:
    """Wait until no other process compiles the same sources, as two test workers would."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, text: str) -> None:
    """Write atomically: other processes may read the file meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


if __name__ == "__main__":
    sys.exit(main())
