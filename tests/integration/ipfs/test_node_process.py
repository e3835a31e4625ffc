import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from fedpact.content.ipfs_node import SCRIPT_VARIABLE, IpfsNode
from fedpact.content.ipfs_store import IpfsStore
from fedpact.errors import SettingsError, StoreUnreachable
from tests.integration.ipfs.kubo_rpc import rpc
from tests.support.waiting import PATIENCE, wait_until

LISTENING = "0A"
OWNER = """
import sys
from contextlib import suppress
from fedpact.content.ipfs_node import IpfsNode
node = IpfsNode.start(sys.argv[1])
print(node.child.process.pid, flush=True)
sys.stdin.read()
"""


def listening_addresses(pid: int) -> set[str]:
    """Local addresses (hex, as in /proc/net) of the process's listening TCP and all UDP sockets."""
    sockets = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # a file that was closed meanwhile
            kind, _, number = os.readlink(path).partition(":")
            if kind == "socket":
                sockets.add(number.strip("[]"))
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = row.split()
            if fields[9] in sockets and (table.startswith("udp") or fields[3] == LISTENING):
                found.add(fields[1].split(":")[0])
    return found


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_node_listens_on_loopback_alone(node: IpfsNode) -> None:
    assert listening_addresses(node.child.process.pid) == {"0100007F"}


def test_a_stopped_node_is_unreachable_and_keeps_all_for_the_next_start(tmp_path: Path) -> None:
    node = IpfsNode.start(tmp_path)
    store = IpfsStore(node.url, timeout=60)
    store.check()
    cid = store.put(b"kept")
    with pytest.raises(StoreUnreachable, match=f"in use by process {node.child.process.pid}"):
        IpfsNode.start(tmp_path)
    node.close()
    node.close()
    assert node.child.process.returncode == 0
    assert not (tmp_path / "node.lock").exists()
    for attempt in (lambda: store.get(cid, 10), lambda: store.put(b"x"), store.check):
        with pytest.raises(StoreUnreachable, match="no answer"):
            attempt()

    with IpfsNode.start(tmp_path) as again:
        assert again.peer_id == node.peer_id
        assert IpfsStore(again.url).get(cid, 10) == b"kept"
        assert rpc(again, "shutdown").status_code == 200
        assert again.child.process.wait(PATIENCE) == 0


def test_the_node_ends_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    offchain = Path(__file__).parents[3] / "offchain"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(offchain)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    wait_until(lambda: gone(pid))


def test_a_node_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StoreUnreachable, match=f"did not start: .*EADDRINUSE.*{port}"):
            IpfsNode.start(tmp_path / "node", port=port)
    assert not (tmp_path / "node" / "node.lock").exists()
    monkeypatch.setenv(SCRIPT_VARIABLE, str(tmp_path / "index.mjs"))
    with pytest.raises(SettingsError, match=r"index\.mjs is missing"):
        IpfsNode.start(tmp_path)
    (tmp_path / "index.mjs").touch()
    with pytest.raises(SettingsError, match="npm ci"):
        IpfsNode.start(tmp_path)
