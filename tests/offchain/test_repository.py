"""Files at the root of the repository agree with each other."""

import re
import tomllib
from collections import defaultdict
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
SAME_NAME = {"Market", "Strategy"}
"""Classes of the public API that are named as what they stand for: a contract's binding, and
Flower's and our strategies."""


def prerequisites(target: str) -> set[str]:
    [line] = re.findall(rf"^{target}:([^#\n]*)", MAKEFILE, re.MULTILINE)
    return set(line.split())


def test_the_commit_hooks_run_all_parts_of_make_lint() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert {hook["entry"] for hook in hooks} == {f"make {part}" for part in prerequisites("lint")}


def test_make_lint_does_nothing_but_its_parts() -> None:
    after = MAKEFILE.split("\nlint:", 1)[1].split("\n", 1)[1]
    assert not after.startswith("\t")


def test_the_workflow_runs_make_targets_only() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    targets = {step["run"].split()[1] for step in steps if step["run"].split()[0] == "make"}
    assert len(steps) > 0
    assert all(re.fullmatch(r"make [\w-]+( PYTHON=\S.*)?", step["run"]) for step in steps)
    for target in targets:
        prerequisites(target)  # Fails for a target that the Makefile lacks.


def test_the_changelog_has_the_packages_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert version in (ROOT / "CHANGELOG.md").read_text()


def test_each_direct_dependency_is_locked_to_a_version_that_the_project_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    locked = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())
    pins = {canonicalize_name(name): version for name, version in locked.items()}
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)], True)


def test_no_pattern_of_a_field_counts_far() -> None:
    """Each number up to which a pattern counts takes memory: one that counted to 16,384 took 2.5 MB
    of every daemon."""
    for path in (ROOT / "offchain").rglob("*.py"):
        for pattern in re.findall(r"""pattern=r?f?["'](.*)["']""", path.read_text()):
            counted = [int(most) for most in re.findall(r"\{(?:\d*,)?(\d+)\}", pattern)]
            assert max(counted, default=0) <= 256, f"{path}: {pattern}"


def test_no_two_classes_of_the_package_share_a_name() -> None:
    """But those of the first protocol, which mirror the present ones."""
    package = ROOT / "offchain/fedpact"
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted(package.rglob("*.py")):
        if "first_protocol" not in file.relative_to(package).parts:
            for name in re.findall(r"^class ([A-Z]\w*)", file.read_text(), re.MULTILINE):
                found[name].append(str(file.relative_to(package)))
    assert {
        name: files for name, files in found.items() if len(files) > 1 and name not in SAME_NAME
    } == {}
