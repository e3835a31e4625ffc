"""Prove what the contracts' packed words hold, for all values: halmos runs the compiled functions
with symbols instead of numbers, and an SMT solver looks for values that break an assertion.

    python -m scripts.symbolic                    every check_... of tests/contracts/symbolic
    python -m scripts.symbolic --only PATTERN     those in whose name this is found

`make symbolic` installs halmos first.

halmos wants what `forge build` writes. solc writes it here, with the settings of the deployed
contracts, so that forge is not needed; a `forge` that does nothing stands on halmos' path.
Exit status 1 for a check that fails, that a solver could not decide in time, or whose paths were
not all tried.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripts import compile as contracts

ROOT = contracts.ROOT
SOURCES = ROOT / "tests" / "contracts" / "symbolic"
HALMOS = ROOT / ".cache" / "halmos" / "bin" / "halmos"
WORK = ROOT / ".cache" / "symbolic"
"""What is compiled is in `out`, by source and contract, as forge's artifacts are."""

OUTPUTS = (
    "abi",
    "metadata",
    "evm.bytecode.object",
    "evm.bytecode.linkReferences",
    "evm.deployedBytecode.object",
    "evm.deployedBytecode.linkReferences",
    "evm.methodIdentifiers",
)
LOOPS = 80
"""Steps of a loop that are followed. halmos tells of one that has more."""
SOLVER_SECONDS = 300
"""For one path of one check."""
STATES = (
    "proven",
    "WRONG",
    "not decided in time",
    "not followed",
    "reverts always",
    "halmos failed",
)
"""By halmos' exit code of a check."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Prove what packed words hold")
    help_only = "checks in whose name this regular expression is found"
    parser.add_argument("--only", default="", metavar="PATTERN", help=help_only)
    only = parser.parse_args().only
    if not HALMOS.exists():
        print(f"no {HALMOS.relative_to(ROOT)}: run make symbolic", file=sys.stderr)
        return 1
    try:
        build()
    except contracts.CompileError as error:
        print(error, file=sys.stderr)
        return 1
    return report(run(only))


def build() -> None:
    """Compile the sources into WORK/out, if they have changed."""
    wanted = contracts.source_hash([SOURCES])
    built = WORK / "built"
    if built.exists() and built.read_text() == wanted:
        return
    shutil.rmtree(WORK, ignore_errors=True)
    texts, units = contracts.read_sources([SOURCES])
    asked = contracts.standard_input(texts, units)
    asked["settings"]["outputSelection"] = {unit: {"*": OUTPUTS, "": ["ast"]} for unit in units}
    output = contracts.run_solc(asked)
    for unit in units:
        for name, contract in output["contracts"][unit].items():
            path = WORK / "out" / Path(unit).name / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(as_forge_writes(contract, output["sources"][unit])))
    forge = WORK / "bin" / "forge"
    forge.parent.mkdir()
    forge.symlink_to(shutil.which("true"))
    built.write_text(wanted)


def as_forge_writes(contract: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    """forge's artifact of a contract, from solc's output of it and of its source."""
    evm = contract["evm"]
    codes = {name: dict(evm[name]) for name in ("bytecode", "deployedBytecode")}
    for code in codes.values():
        code["object"] = "0x" + code["object"]
    return {
        "abi": contract["abi"],
        **codes,
        "methodIdentifiers": evm["methodIdentifiers"],
        "metadata": json.loads(contract["metadata"]),
        "ast": source["ast"],
        "id": source["id"],
    }


def run(only: str) -> dict[str, list[dict[str, Any]]]:
    """halmos' results of the checks, by contract."""
    found = WORK / "results.json"
    found.unlink(missing_ok=True)
    command = [HALMOS, "--root", WORK, "--json-output", found, "--no-status"]
    # The build of Yices on PyPI, halmos' own choice, calls right checks wrong (docs/adr/0073).
    command += ["--solver", "z3", "--solver-timeout-assertion", f"{SOLVER_SECONDS}s"]
    # An overflow, too, is a failure, and not a call that is refused.
    command += ["--loop", str(LOOPS), "--panic-error-codes", "*"]
    if only:
        command += ["--match-test", only]
    path = os.pathsep.join((str(WORK / "bin"), str(HALMOS.parent), os.environ["PATH"]))
    subprocess.run(command, env={**os.environ, "PATH": path}, check=False)
    if not found.exists():
        return {}
    results: dict[str, list[dict[str, Any]]] = json.loads(found.read_text())["test_results"]
    return results


def report(results: dict[str, list[dict[str, Any]]]) -> int:
    """Print the checks that are not proven, and how many are. Returns the exit status."""
    states = []
    for contract, checks in results.items():
        for check in checks:
            state = "not followed" if check["num_bounded_loops"] else STATES[check["exitcode"]]
            states.append(state)
            if state != STATES[0]:
                print(f"{contract.partition(':')[2]}.{check['name']}: {state}", file=sys.stderr)
    proven = states.count(STATES[0])
    print(f"{proven} of {len(states)} checks proven")
    return 0 if states and proven == len(states) else 1


if __name__ == "__main__":
    sys.exit(main())
