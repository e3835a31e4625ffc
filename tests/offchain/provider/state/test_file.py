"""The state file: migrated, locked, damaged, on a full disk; it is never lost for good."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from fedpact.chain.outbox import Outbox, Pending
from fedpact.chain.records import Call
from fedpact.errors import StateDamaged, StateError, StorageUnavailable
from fedpact.provider.state import file as state_file
from fedpact.provider.state.checkpoint import ProviderState
from tests.offchain.provider.state.test_checkpoint import ACCOUNT, DEPLOYMENT, created
from tests.support.disks import damage, in_a_fork, locked

VERSION_1 = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE events (
    block INTEGER NOT NULL, log_index INTEGER NOT NULL, name TEXT NOT NULL,
    request INTEGER, args TEXT NOT NULL, PRIMARY KEY (block, log_index));
CREATE TABLE requests (id INTEGER PRIMARY KEY, standing TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE votes (
    request INTEGER NOT NULL, round INTEGER NOT NULL, scores TEXT NOT NULL,
    record TEXT NOT NULL, PRIMARY KEY (request, round));
INSERT INTO meta VALUES ('schema', '1'), ('deployment', '{DEPLOYMENT.fingerprint.hex()}'),
    ('account', '{ACCOUNT}'), ('block', '9'), ('block_hash', '0xb9');
INSERT INTO events VALUES (9, 0, 'RequestCreated', 1, '{json.dumps({"request": 1})}');
INSERT INTO requests VALUES (1, 'joined', 'joined with 5 samples');
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_file, "BUSY_SECONDS", 0.1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


def opened(path: Path, *, rebuild: bool = True) -> ProviderState:
    return ProviderState(path, DEPLOYMENT, ACCOUNT, rebuild=rebuild)


def test_a_file_of_version_1_is_migrated(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1)
    for _ in range(2):
        with opened(path) as state:
            assert state.all_requests() == [(1, "joined", "joined with 5 samples")]
            assert (state.block, [end.block_hash for end in state.ends()]) == (9, ["0xb9"])
            assert state.cost(1) == 0
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (6,)


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    opened(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 7")
    with pytest.raises(StateError, match="schema version 7, this fedpact reads 6"):
        opened(path)


def test_a_damaged_file_is_set_aside_by_the_daemon_alone(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(path) as state:
        state.ingest([created(6, 1)], 8, "0xb8")
    damage(path)
    with pytest.raises(StateDamaged, match="is damaged"):
        opened(path, rebuild=False)
    with opened(path) as state:
        assert (state.block, state.block_hash, state.all_requests()) == (4, "", [])
        state.ingest([created(6, 1)], 8, "0xb8")
    assert path.with_name("state.sqlite.damaged").exists()
    assert "rebuilt from the chain" in caplog.text
    with opened(path) as state:
        assert state.block == 8


@pytest.mark.parametrize("content", [b"", b"not a database"])
def test_a_file_of_something_else_is_set_aside(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with opened(path) as state:
        assert state.block == 4


def test_a_page_damaged_while_open_is_noticed(path: Path) -> None:
    with opened(path) as state:
        state.ingest([created(block, block) for block in range(5, 3000)], 3000, "0xb")
        damage(path)
        with pytest.raises(StateDamaged):
            [state.events(request, "RequestCreated") for request in range(5, 3000)]
        state.rebuild()
        assert state.block == 4


def test_a_cell_that_is_not_json_counts_as_damage(path: Path) -> None:
    with opened(path) as state:
        state.ingest([created(6, 1)], 8, "0xb8")
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE events SET args = '{'")
        with pytest.raises(StateDamaged):
            state.events(1, "RequestCreated")


def test_a_locked_file_is_unavailable_and_then_available(path: Path) -> None:
    with opened(path) as state:
        with locked(path):
            for use in (
                lambda: state.ingest([created(6, 1)], 8, "0xb8"),
                lambda: state.add_cost(1, 5),
                state.check_writable,
                lambda: opened(path),
            ):
                with pytest.raises(StorageUnavailable, match="locked by another process"):
                    use()
        assert (state.block, state.all_requests()) == (4, [])
        state.ingest([created(6, 1)], 8, "0xb8")
        assert state.block == 8


def test_a_full_disk_takes_all_or_nothing(path: Path) -> None:
    with opened(path) as before:
        before.ingest([created(6, 1)], 8, "0xb8")

    def work(fill: Callable[[], None]) -> None:
        with opened(path) as state:
            fill()
            with pytest.raises(StorageUnavailable, match=r"disk refuses|disk is full"):
                state.ingest([created(block, block) for block in range(9, 99)], 99, "0xb99")
            with pytest.raises(StorageUnavailable):
                state.check_writable()
            assert (state.block, len(state.all_requests())) == (8, 1)

    in_a_fork(work)
    with opened(path) as state:
        state.ingest([created(9, 2)], 9, "0xb9")
        assert state.block == 9


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable, match="File exists"):
        opened(tmp_path / "file" / "state.sqlite")


def pending(nonce: int) -> Pending:
    return Pending(Call("0x1", b"", 0, "do"), nonce, 1, 1, 1, False, 0.0)


def test_an_outbox_that_cannot_be_written_keeps_nothing_from_being_read(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"

    def work(fill: Callable[[], None]) -> None:
        box = Outbox("0xc", path)
        box.save("0xA", pending(1))
        fill()
        with pytest.raises(StorageUnavailable):
            box.save("0xA", pending(2))
        assert [one.nonce for one in box.load("0xA")] == [1]

    in_a_fork(work)


def test_a_damaged_outbox_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "outbox.sqlite"
    box = Outbox("0xc", path)
    for nonce in range(200):
        box.save("0xA", pending(nonce))
    damage(path)
    box.save("0xA", pending(200))
    box.close()
    assert 200 in [one.nonce for one in Outbox("0xc", path).load("0xA")]
    path.write_bytes(b"nothing")
    assert Outbox("0xc", path).load("0xA") == []
    assert "outbox.sqlite.damaged" in caplog.text
