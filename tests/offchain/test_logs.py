"""Log lines for people and for programs."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging
from fedpact.logs import about, log_to_stderr
log_to_stderr({level!r}, as_json={as_json})
log = logging.getLogger("fedpact.some")
with about(request=3):
    with about(round=2, duty="commit_vote"):
        log.info("request %d: committed", 3)
    log.debug("details")
for one in ("httpx", "urllib3.connectionpool", "web3.providers.HTTPProvider", "websockets.client"):
    logging.getLogger(one).info("GET /v3/PROJECT_KEY")
try:
    raise ValueError("broken")
except ValueError:
    log.exception("failed")
"""


def logged(level: str, *, as_json: bool) -> list[str]:
    program = PROGRAM.format(level=level, as_json=as_json)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()


def test_json_lines_carry_what_they_are_about() -> None:
    lines = [json.loads(line) for line in logged("debug", as_json=True)]
    committed, details, failed = lines
    assert committed.pop("time").startswith("20")
    assert committed == {
        "level": "INFO",
        "logger": "fedpact.some",
        "message": "request 3: committed",
        "request": 3,
        "round": 2,
        "duty": "commit_vote",
    }
    assert (details["request"], "duty" in details) == (3, False)
    assert "request" not in failed
    assert "ValueError: broken" in failed["exc_info"]


@pytest.mark.parametrize(("level", "count"), [("info", 1), ("debug", 2), ("error", 0)])
def test_the_level_decides_what_is_said(level: str, count: int) -> None:
    lines = [line for line in logged(level, as_json=False) if "fedpact.some: " in line]
    assert len([line for line in lines if "ERROR" not in line]) == count
