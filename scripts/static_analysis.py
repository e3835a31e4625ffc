"""Run Slither over the contracts and compare its findings with the list of accepted ones.

    python -m scripts.static_analysis           print findings that are not accepted
    python -m scripts.static_analysis --all     print all findings, with the reasons for accepting

Slither reads syntax trees through crytic-compile, which can run neither npm's build of solc nor our
remappings. So this script gets the trees from scripts/solc, exports them in crytic-compile's format
and gives that file to Slither. It needs no bytecode, so the compiler takes seconds.

slither.config.json says which detectors are off; slither.allowed.toml gives the reason for each
accepted finding. Exit status 1 for a finding that is not accepted. Findings are cached in
.cache/slither by the hash of everything they depend on.
"""

import argparse
import json
import os
import subprocess
import sys
import tomllib
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from scripts import compile as contracts

os.environ["SOLCX_BINARY_PATH"] = str(contracts.SOLC_FOLDER)  # before solcx looks at it

import solcx
from crytic_compile import CryticCompile
from crytic_compile.compilation_unit import CompilationUnit
from crytic_compile.compiler.compiler import CompilerVersion
from crytic_compile.platform.solc_standard_json import SolcStandardJson, parse_standard_json_output
from crytic_compile.platform.standard import generate_standard_export

ROOT = contracts.ROOT
CONFIG = ROOT / "slither.config.json"
ALLOWED = ROOT / "slither.allowed.toml"
WORK = ROOT / ".cache" / "slither"

GRAVE = ("High", "Medium")
NO_CODE = {"object": "", "sourceMap": ""}


class Trees(SolcStandardJson):
    """Syntax trees without bytecode, from npm's solc."""

    def compile(self, crytic_compile: CryticCompile, **_: Any) -> None:
        output = solcx.compile_standard(
            self.to_dict(), base_path=ROOT, solc_version=contracts.COMPILER
        )
        for unit in output["contracts"].values():
            for contract in unit.values():
                contract["evm"] = {"bytecode": NO_CODE, "deployedBytecode": NO_CODE}
        compilation = CompilationUnit(crytic_compile, "contracts")
        compilation.compiler_version = CompilerVersion("solc", contracts.COMPILER, True)
        parse_standard_json_output(output, compilation)


def export_trees() -> Path:
    """Write the contracts' syntax trees for Slither. Returns the file."""
    standard_input = {
        "language": "Solidity",
        "sources": {
            path.relative_to(ROOT).as_posix(): {"content": path.read_text()} for path in _roots()
        },
        "settings": {
            "remappings": contracts.SETTINGS["remappings"],
            "outputSelection": {"*": {"*": ["abi"], "": ["ast"]}},
        },
    }
    asked, export = WORK / "input.json", WORK / "contracts_export.json"
    asked.write_text(json.dumps(standard_input))
    export.write_text(json.dumps(generate_standard_export(CryticCompile(Trees(str(asked))))))
    return export


def findings(lower_too: bool) -> list[dict[str, Any]]:
    """Slither's findings, most severe first; cached by the hash of everything they depend on."""
    WORK.mkdir(parents=True, exist_ok=True)
    sources, wanted = contracts.read_sources(_roots())
    facts = [sources, wanted, contracts.SETTINGS["remappings"], CONFIG.read_text(), lower_too]
    facts += [contracts.COMPILER, version("slither-analyzer"), Path(__file__).read_text()]
    kept = WORK / f"{sha256(json.dumps(facts).encode()).hexdigest()}.json"
    if not kept.exists():
        kept.write_text(json.dumps(_run_slither(export_trees(), lower_too)))
    known: list[dict[str, Any]] = json.loads(kept.read_text())
    return known


def _roots() -> list[Path]:
    return list(contracts.DEPLOYED.sources)


def _run_slither(export: Path, lower_too: bool) -> list[dict[str, Any]]:
    report = WORK / "report.json"
    report.unlink(missing_ok=True)
    config = json.loads(CONFIG.read_text())
    if lower_too:
        config = {key: value for key, value in config.items() if not key.startswith("exclude_")}
    settings = WORK / "config.json"
    settings.write_text(json.dumps(config))
    slither = str(Path(sys.executable).with_name("slither"))
    command = [slither, str(export), "--config-file", str(settings), "--json", str(report)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    answer = json.loads(report.read_text()) if report.exists() else {"success": False}
    if not answer["success"]:
        sys.exit(f"slither failed: {answer.get('error') or ran.stderr}")
    found: list[dict[str, Any]] = answer["results"].get("detectors", [])
    return sorted(
        found, key=lambda one: (one["impact"] != "High", one["impact"] not in GRAVE, key_of(one))
    )


def key_of(finding: dict[str, Any]) -> tuple[str, str]:
    """Detector and the function (or other element) it names; the same after lines move."""
    element = finding["elements"][0]
    if element["type"] == "node":
        element = element["type_specific_fields"]["parent"]
    owner = element.get("type_specific_fields", {}).get("parent", {}).get("name", "")
    return finding["check"], f"{owner}.{element['name']}".lstrip(".")


def main() -> int:
    parser = argparse.ArgumentParser(description="Static analysis of the contracts by Slither")
    parser.add_argument(
        "--all", action="store_true", help="show all findings, and why each is accepted"
    )
    lower_too = parser.parse_args().all
    found = findings(lower_too)
    allowed = {
        (entry["check"], where): entry["reason"]
        for entry in tomllib.loads(ALLOWED.read_text())["finding"]
        for where in entry["where"]
    }

    used, unexplained = set(), 0
    for finding in found:
        check, where = key_of(finding)
        key = (check, where) if (check, where) in allowed else (check, "*")
        used.add(key)
        if lower_too or key not in allowed:
            print(f"{finding['impact'].lower():<7} {check} in {where}")
        if key not in allowed:
            print(f"        {finding['description'].strip()}")
            unexplained += finding["impact"] in GRAVE
    if lower_too:
        explain(allowed, used)
    print(f"{len(found)} findings, {unexplained} of medium or high impact not accepted")
    return 1 if unexplained else 0


def explain(allowed: dict[tuple[str, str], str], used: set[tuple[str, str]]) -> None:
    """Print why each finding is accepted."""
    for reason in dict.fromkeys(allowed[key] for key in allowed if key in used):
        names = [
            f"{check} in {where}"
            for check, where in sorted(used)
            if allowed.get((check, where)) == reason
        ]
        print(f"accepted: {', '.join(names)}\n        {reason}")
    # Not an error: Slither misses some of them, depending on the order in which it works.
    for check, where in (key for key in allowed if key not in used):
        print(f"not found in this run: {check} in {where} ({ALLOWED.name})")


if __name__ == "__main__":
    sys.exit(main())
