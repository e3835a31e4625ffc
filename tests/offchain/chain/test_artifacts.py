"""Compiling: the shim in front of npm's solc, warnings, and artifacts that fall behind."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from scripts import compile as compile_script
from scripts import symbolic
from scripts.compile import Artifacts

REPOSITORY = Path(__file__).resolve().parents[3]
SOLC = REPOSITORY / "scripts" / "solc" / "solc-v0.8.37"
HEAD = "// SPDX-License-Identifier: MIT\npragma solidity 0.8.37;\n"


@pytest.fixture
def compiling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/compile.py over an empty repository."""
    monkeypatch.setattr(compile_script, "ROOT", tmp_path)
    monkeypatch.setattr(compile_script, "CACHE", tmp_path / "cache")
    (tmp_path / "contracts").mkdir()
    write(tmp_path / "contracts/Base.sol", "contract Base { uint256 public number; }")
    write(
        tmp_path / "contracts/Store.sol",
        'import {Base} from "./Base.sol";\n'
        "// import {Ghost} from './Ghost.sol';\n"
        "contract Store is Base { function set(uint256 n) external { number = n; } }",
    )
    return compile_script


@pytest.fixture
def store(tmp_path: Path) -> Artifacts:
    return Artifacts(("Store",), (tmp_path / "contracts" / "Store.sol",), tmp_path / "artifacts")


def write(path: Path, text: str) -> None:
    path.write_text(HEAD + text + "\n")


def test_artifacts_of_this_checkout_are_not_stale() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "scripts.compile", "--check"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (check.returncode, check.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("kept", [compile_script.DEPLOYED, compile_script.HARNESSES])
def test_artifacts_of_this_checkout_are_what_its_sources_compile_to(kept: Artifacts) -> None:
    """The contract tests run the artifacts as long as their hash is that of the sources."""
    compiled = compile_script.compile_texts(*compile_script.read_sources(kept.sources))
    for path in kept.paths():
        artifact = json.loads(path.read_text())
        assert artifact["bytecode"] == compiled[path.stem]["bytecode"]
        assert artifact["abi"] == compiled[path.stem]["abi"]


def test_what_make_symbolic_proves_compiles() -> None:
    """Without code, which takes seconds: what is proven is compiled when it is proven."""
    sources, wanted = compile_script.read_sources([REPOSITORY / "tests/contracts/symbolic"])
    asked = compile_script.standard_input(sources, wanted)
    asked["settings"]["outputSelection"] = {unit: {"*": ["abi"]} for unit in wanted}
    output = compile_script.run_solc(asked)
    names = {
        entry["name"]
        for unit in wanted
        for one in output["contracts"][unit].values()
        for entry in one["abi"]
        if entry["type"] == "function"
    }
    assert {"check_medians_of_three", "check_withLast"} <= names


@pytest.mark.parametrize(
    ("exit_code", "cut", "said"),
    [(0, 0, ""), (1, 0, "WRONG"), (2, 0, "not decided in time"), (0, 1, "not followed")],
)
def test_only_what_is_proven_on_all_paths_passes(
    exit_code: int, cut: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check = {"name": "check_it()", "exitcode": exit_code, "num_bounded_loops": cut}
    assert symbolic.report({"a.sol:A": [check]}) == int(bool(said))
    assert capsys.readouterr().err == (f"A.check_it(): {said}\n" if said else "")
    assert symbolic.report({}) == 1


def test_change_of_an_imported_source_makes_the_artifact_stale(
    compiling: ModuleType, store: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = tmp_path / "artifacts/Store.json"
    assert store.stale() == [artifact]
    store.write()
    assert store.stale() == []
    written = json.loads(artifact.read_text())
    assert {entry.get("name") for entry in written["abi"]} == {"set", "number"}
    assert set(written) == {"abi", "bytecode", "deployed", "compiler", "sourceHash"}

    monkeypatch.setattr(compiling, "SOLC_FOLDER", tmp_path / "none")
    compiled = compiling.compile_contracts(["contracts/Store.sol"])
    assert compiled["Store"]["bytecode"] == written["bytecode"]

    write(tmp_path / "contracts/Base.sol", "contract Base { uint256 public number = 7; }")
    assert store.stale() == [artifact]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("contract Store { function f() external { uint256 idle; } }", "Unused local variable"),
        ("contract Store { function f() external { return 1; } }", "Error"),
        ('import "./None.sol";', "contracts/None.sol: no such file"),
    ],
)
def test_warnings_and_errors_end_the_compilation(
    compiling: ModuleType, tmp_path: Path, source: str, said: str
) -> None:
    write(tmp_path / "contracts/Store.sol", source)
    with pytest.raises(compiling.CompileError, match=said):
        compiling.compile_contracts(["contracts/Store.sol"])


def test_the_shim_prints_its_version() -> None:
    told = subprocess.run([SOLC, "--version"], capture_output=True, text=True, check=True).stdout
    assert "Version: 0.8.37+commit" in told


def test_shim_reads_imports_below_the_base_path_alone(tmp_path: Path) -> None:
    base, outside = tmp_path / "base", tmp_path / "Outside.sol"
    base.mkdir()
    write(base / "Beside.sol", "contract Beside {}")
    write(outside, "contract Outside {}")
    (base / "Link.sol").symlink_to(outside)
    imports = ["./Beside.sol", "./None.sol", "./Link.sol", str(outside)]
    standard_input = {
        "language": "Solidity",
        "sources": {"Main.sol": {"content": HEAD + "".join(f'import "{i}";' for i in imports)}},
        "settings": {"outputSelection": {"*": {"*": ["abi"]}}},
    }
    answer = subprocess.run(
        [SOLC, "--standard-json", "--base-path", base],
        input=json.dumps(standard_input),
        capture_output=True,
        text=True,
        check=True,
    )
    said = [error["message"] for error in json.loads(answer.stdout)["errors"]]
    assert len(said) == 3
    assert "None.sol cannot be read: ENOENT" in said[0]
    assert "Link.sol is outside" in said[1]
    assert "Outside.sol is outside" in said[2]


def test_the_shim_refuses_unknown_options() -> None:
    refused = subprocess.run([SOLC, "--asm"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "unrecognised option '--asm'" in refused.stderr
