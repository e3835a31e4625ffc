"""A child process ends with all that it started, and says why it failed to start."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from fedpact.child_process import ChildFailed, ChildProcess, end_group
from tests.support.processes import none_left_under, processes_under
from tests.support.waiting import PATIENCE, wait_until

READY = re.compile(r"ready (\d+)")
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('ready 0', flush=True); time.sleep(600)"
)


def runs(pid: int) -> bool:
    """Whether the process runs and is not a zombie."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return state.stdout.strip() not in ("", "Z", "Zs")


@pytest.fixture
def wrapper(tmp_path: Path) -> Iterator[ChildProcess]:
    """A shell that started a program and waits for it; `ready` names the program's id."""
    script = "sleep 600 & echo ready $!; wait"
    child = ChildProcess.start(["sh", "-c", script], tmp_path / "log")
    yield child
    child.stop()


def test_children_of_a_wrapper_end_with_it(wrapper: ChildProcess) -> None:
    program = int(wrapper.wait_for(READY, PATIENCE)[1])
    assert runs(program)
    wrapper.stop()
    wrapper.stop()
    assert not runs(program)
    assert wrapper.process.returncode is not None


def test_children_left_by_a_wrapper_end_too(wrapper: ChildProcess) -> None:
    program = int(wrapper.wait_for(READY, PATIENCE)[1])
    wrapper.process.kill()
    wrapper.process.wait()
    assert runs(program)
    wrapper.stop()
    assert not runs(program)


def test_a_child_that_ignores_signals_is_killed(tmp_path: Path) -> None:
    child = ChildProcess.start([sys.executable, "-c", STUBBORN], tmp_path / "log")
    child.wait_for(READY, PATIENCE)
    end_group(child.process.pid, child.process.poll, seconds=2.0)
    assert child.process.returncode == -9
    child.stop()


def test_the_last_line_of_one_that_ended_is_the_reason(tmp_path: Path) -> None:
    child = ChildProcess.start(["sh", "-c", "echo no port >&2; exit 3"], tmp_path / "log")
    with pytest.raises(ChildFailed, match="no port"):
        child.wait_for(READY, PATIENCE)
    silent = ChildProcess.start(["sh", "-c", "exit 3"], tmp_path / "log")
    with pytest.raises(ChildFailed, match="exit status 3"):
        silent.wait_for(READY, PATIENCE)


def test_one_that_is_late_is_ended(tmp_path: Path) -> None:
    child = ChildProcess.start(["sleep", "600"], tmp_path / "log")
    with pytest.raises(ChildFailed, match=r"no answer within 0\.1 s"):
        child.wait_for(READY, 0.1)
    assert not runs(child.process.pid)


def test_output_of_an_earlier_start_is_not_taken_for_this_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("ready 1\n")
    child = ChildProcess.start(["sh", "-c", "echo ready 2"], log)
    assert child.wait_for(READY, PATIENCE)[1] == "2"
    child.stop()


def test_input_stays_open_while_the_parent_lives(tmp_path: Path) -> None:
    child = ChildProcess.start(["sh", "-c", "echo ready $$; cat; echo closed"], tmp_path / "log")
    child.wait_for(READY, PATIENCE)
    time.sleep(0.1)
    assert "closed" not in child.output
    child.stop()


def test_a_detached_child_outlives_its_parent(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from fedpact.child_process import ChildProcess;"
        "print(ChildProcess.start(['sleep', '600'], Path(sys.argv[1]), detached=True).process.pid)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "log")]
    group = int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    try:
        assert runs(group)
    finally:
        end_group(group, lambda: None, seconds=2)
    assert not runs(group)
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def test_it_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    started: list[ChildProcess] = []
    command = ["sh", "-c", "echo ready $$; exec sleep 600"]
    thread = Thread(target=lambda: started.append(ChildProcess.start(command, tmp_path / "log")))
    thread.start()
    thread.join()
    (child,) = started
    child.wait_for(READY, PATIENCE)
    time.sleep(0.2)
    assert child.process.poll() is None
    child.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_child_that_asks_for_it_ends_with_a_killed_parent() -> None:
    program = (
        "import subprocess, time\n"
        "from fedpact.child_process import end_with_parent\n"
        "child = subprocess.Popen(['sleep', '600'], preexec_fn=end_with_parent)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert runs(child)
        parent.kill()
    wait_until(lambda: not runs(child))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_left_under_a_folder_are_killed_after_an_interrupt(tmp_path: Path) -> None:
    script = "sleep 600 & sleep 600 & echo ready; wait"
    shell = subprocess.Popen(["sh", "-c", script], cwd=tmp_path, stdout=subprocess.PIPE)

    def interrupted() -> None:
        with none_left_under(tmp_path):
            assert shell.stdout is not None
            assert shell.stdout.readline() == b"ready\n"
            assert len(processes_under(tmp_path)) == 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    shell.communicate()
    assert processes_under(tmp_path) == []
