"""Processes of the fork server: each is on its own, and none outlives its starter."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fedpact.demo import fleet
from fedpact.privacy.noise import SystemNoise
from tests.support.processes import none_left_under, processes_under
from tests.support.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
PROGRAM = "tests.support.forked"


@pytest.fixture(autouse=True)
def cleared(tmp_path: Path) -> Iterator[None]:
    with none_left_under(tmp_path):
        yield


def started(folder: Path, name: str) -> tuple[fleet.Forked, dict[str, Any]]:
    file = folder / f"{name}.json"
    process = fleet.start([PROGRAM, str(file)], folder / f"{name}.log")
    assert (folder / f"{name}.log").exists()  # before the process runs
    wait_until(file.exists, (folder / f"{name}.log").read_text)
    return process, json.loads(file.read_text())


def test_no_two_draw_the_same_and_none_inherits_what_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SystemNoise().words(4)
    reports = []
    for name in ("one", "two"):
        monkeypatch.setenv("FEDPACT_ACCOUNT", name)
        process, report = started(tmp_path, name)
        reports.append(report)
        assert report["environment"]["FEDPACT_ACCOUNT"] == name
        assert report["environment"]["OMP_NUM_THREADS"] == "1"
        assert report["leads_its_session"]
        # Its own, and the one that waits for the end of its starter.
        assert report["threads"] == 2
        files = report["files"]
        assert files.pop("1") == files.pop("2") == str(tmp_path / f"{name}.log")
        del files["0"]
        # Pipes to its starter and fork server; no connection and no file of anybody else.
        assert {one.partition(":")[0] for one in files.values()} <= {"pipe", "/dev/null"}, files
        assert process.pid in processes_under(tmp_path)
    one, two = (report["drawn"] for report in reports)
    assert all(one[source] != two[source] for source in one)


def test_signals_and_exit_codes_are_its_own(tmp_path: Path) -> None:
    log = tmp_path / "ended.log"
    log.write_text("before\n")
    ended = fleet.start([PROGRAM], log)
    assert ended.wait(PATIENCE) == 3
    assert log.read_text() == "before\nnothing to write to\n"
    ended.send_signal(signal.SIGTERM)  # to nobody

    first, second = (started(tmp_path, name)[0] for name in ("first", "second"))
    with pytest.raises(subprocess.TimeoutExpired):
        first.wait(0.1)
    first.kill()
    assert first.wait(PATIENCE) == first.returncode == -signal.SIGKILL
    assert second.poll() is None
    second.send_signal(signal.SIGTERM)
    assert second.wait(PATIENCE) == -signal.SIGTERM


@pytest.mark.parametrize("killed", ["starter", "fork server"])
def test_ends_with_a_killed_starter_or_fork_server(tmp_path: Path, killed: str) -> None:
    """A process keeps its fork server alive, which must not keep it."""
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from fedpact.demo import fleet\n"
        "report, log = sys.argv[1:]\n"
        f"fleet.start([{PROGRAM!r}, report], Path(log))\n"
        "time.sleep(600)\n"
    )
    report, log = tmp_path / "report.json", tmp_path / "forked.log"
    command = [sys.executable, "-c", program, str(report), str(log)]
    with subprocess.Popen(command) as starter:
        wait_until(report.exists, "not started")
        # Here, and not in a worker where another test may have started the fork server first.
        assert json.loads(report.read_text())["missing"] == []
        [forked] = [one for one in processes_under(tmp_path) if one != starter.pid]
        server = int(status(forked)["PPid"])
        os.kill(starter.pid if killed == "starter" else server, signal.SIGKILL)
        wait_until(gone(forked), "the process outlived what started it")
        wait_until(gone(server), "the fork server outlived its use")
        starter.kill()


def status(process: int) -> dict[str, str]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def gone(process: int) -> Callable[[], bool]:
    """Whether a process has ended; if nobody waits for it, it is a zombie."""

    def found() -> bool:
        try:
            return status(process)["State"].startswith("Z")
        except OSError:
            return True

    return found
