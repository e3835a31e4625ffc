"""The README's walk through all roles, command by command, as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARK = "<!-- walk -->"


def commands() -> str:
    """The shell block of the README that follows the mark."""
    text = (ROOT / "README.md").read_text()
    found = re.search(re.escape(MARK) + r"\s*```bash\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_every_command_of_the_readme_does_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    folder = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "FEDPACT_PASSWORD": "correct horse battery staple",
        "FEDPACT_ANVIL": str(ROOT / "node_modules" / ".bin" / "anvil"),
    }
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    logs = "".join(log.read_text()[-2000:] for log in sorted(tmp_path.glob("walk/*.log")))
    assert run.returncode == 0, run.stdout + run.stderr + logs
    assert "FAILS" not in run.stdout
    assert (tmp_path / "walk" / "answers.json").stat().st_size > 0
