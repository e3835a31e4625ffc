"""The walkthrough of all roles (docs/walkthrough.md), command by command, as written there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fedpact.chain.devnet import find_anvil
from fedpact.demo.network import free_port
from tests.support.processes import none_left_under

ROOT = Path(__file__).resolve().parents[2]
MARK = "<!-- walk -->"


def commands() -> str:
    """The shell block after the mark."""
    text = (ROOT / "docs" / "walkthrough.md").read_text()
    found = re.search(re.escape(MARK) + r"\s*```bash\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.mark.slow
def test_every_command_of_the_walkthrough_succeeds(tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    folder = Path(sys.executable).parent
    port = free_port()  # 8545, which the walkthrough uses, may be taken on this machine
    environment = {
        **os.environ,
        "FEDPACT_ENDPOINT": f"http://127.0.0.1:{port}",
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "FEDPACT_PASSWORD": "correct horse battery staple",
        "FEDPACT_ANVIL": str(find_anvil()),
    }
    # Its daemons ignore Ctrl-C, as background jobs of a shell do.
    with none_left_under(tmp_path):
        run = subprocess.run(
            [
                "bash",
                "-euo",
                "pipefail",
                "-c",
                commands().replace("devnet up", f"devnet up --port {port}"),
            ],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    logs = "".join(log.read_text()[-2000:] for log in sorted(tmp_path.glob("walk/*.log")))
    assert run.returncode == 0, run.stdout + run.stderr + logs
    assert "FAILS" not in run.stdout
    assert (tmp_path / "walk" / "answers.json").stat().st_size > 0
