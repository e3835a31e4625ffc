"""Parts of the server on their own: downloads, foreign text, login, live updates, the log."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from fedpact.chain import deployment_file as deployments
from fedpact.dashboard.index.follow import Change
from fedpact.dashboard.serve import serve
from fedpact.dashboard.units import ether
from fedpact.dashboard.untrusted_text import plain
from fedpact.dashboard.views.blocks import Chart, ChartSeries
from fedpact.dashboard.web.connections import bounded
from fedpact.dashboard.web.downloads import as_csv
from fedpact.dashboard.web.filters import chart_json, ether_short
from fedpact.dashboard.web.hub import QUEUED, Hub
from fedpact.dashboard.web.login import Login, token_file, token_of
from fedpact.dashboard.web.provider import last_problems
from fedpact.errors import DeploymentError, SettingsError
from fedpact.settings import Settings
from fedpact.types.deployment import Deployment, SecondDeployment
from tests.support.waiting import PATIENCE


def test_a_spreadsheet_computes_nothing() -> None:
    rows = [{"title": "=HYPERLINK(1)", "pay": "-5", "n": -5, "of": {"x": [1, 2]}}]
    assert as_csv(rows) == "title,pay,n,of.x\r\n'=HYPERLINK(1),'-5,-5,1 2\r\n"


def test_a_deployment_of_the_first_protocol_is_refused_in_words() -> None:
    address = "0x" + 40 * "1"
    first = Deployment(1, "0x0", address, address, address, 0, {})
    with pytest.raises(DeploymentError, match="first protocol: the dashboard reads those of the"):
        serve(Settings(), first, "127.0.0.1:0")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "has usual rounds, as the deployment has"),
        ({"rounds_kind": "large", "registry": "0x" + 40 * "2"}, "has other participants"),
        ({"rounds_kind": "large", "genesis_hash": "0x1"}, "has other participants"),
    ],
)
def test_only_a_deployment_beside_is_shown_beside(
    tmp_path: Path, changes: dict[str, str], says: str
) -> None:
    one = "0x" + 40 * "1"
    names = ("registry", "market", "rounds", "ledger", "pool", "factory", "resale")
    at: dict[str, Any] = dict.fromkeys(names, one)
    first = SecondDeployment(
        chain_id=1, genesis_hash="0x0", block=0, versions={}, min_window=1, **at
    )
    file = tmp_path / "other.json"
    deployments.save(replace(first, **changes), file)  # type: ignore[arg-type]
    with pytest.raises(DeploymentError, match=says):
        serve(Settings(), first, "127.0.0.1:0", beside=file)


def test_foreign_text_cannot_turn_or_hide() -> None:
    assert plain("a\u202eb\u2066c\x00d\nä €") == "a\ufffdb\ufffdc\ufffdd\nä €"


def test_a_chart_cannot_end_its_block() -> None:
    chart = Chart(
        kind="bar",
        title="</script><script>",
        summary="&",
        x="x",
        y="y",
        labels=("<!--",),
        series=(ChartSeries(name="]]>", values=(1.0,)),),
    )
    text = str(chart_json(chart))
    assert not set("<>&") & set(text)
    assert Chart.model_validate_json(text) == chart


@pytest.mark.parametrize(
    ("wei", "exact", "brief"),
    [
        (0, "0", "0"),
        (10**18, "1", "1"),
        (1, "0.000000000000000001", "1e-18"),
        (123_456_789 * 10**9, "0.123456789", "0.1235"),
        (-5 * 10**17, "-0.5", "-0.5"),
    ],
)
def test_ether(wei: int, exact: str, brief: str) -> None:
    assert (ether(wei), ether_short(wei)) == (exact, brief)


def test_the_token_is_the_owners_alone(tmp_path: Path) -> None:
    token = token_of(tmp_path)
    assert token_of(tmp_path) == token
    assert token_file(tmp_path).stat().st_mode & 0o077 == 0
    assert Login(token).accepts(token)
    assert not Login(token).accepts(token[:-1])
    assert not Login(token).accepts("ä")
    token_file(tmp_path).write_text("short")
    with pytest.raises(SettingsError, match="too short"):
        token_of(tmp_path)


def test_a_reader_that_is_behind_looks_at_everything() -> None:
    async def read() -> list[str]:
        hub = Hub()
        hub.attach(asyncio.get_running_loop())
        stream = hub.stream()
        first = [await anext(stream)]
        for block in range(QUEUED + 1):
            hub.tell(Change(block, block, frozenset({block})))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert f'"version": {hub.version}' in await anext(stream)  # where the chain is now
        return [*first, await anext(stream)]

    retry, change = asyncio.run(read())
    assert retry.startswith("retry:")
    assert '"block": 32' in change
    assert '"others": true' in change


def test_what_providers_say_takes_no_block_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages went back to the block before, if the chain moved on at the wrong moment."""
    hub = Hub()
    hub.tell(Change(7, 7, frozenset()))
    follower = threading.Thread(target=hub.tell, args=(Change(8, 8, frozenset()),))

    def change(*given: Any, **named: Any) -> Change:
        follower.start()
        follower.join(0.1)
        return Change(*given, **named)

    monkeypatch.setattr("fedpact.dashboard.web.hub.Change", change)
    hub.changed(1)
    follower.join()
    assert hub.last == Change(8, 8, frozenset())


def test_hanging_connections_end_before_files_run_out() -> None:
    """Without a bound the process refuses everybody and logs each refusal, thousands a second."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("served")(scope, receive, send)

    config = uvicorn.Config(answer, http=bounded(3), log_config=None, lifespan="off")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        at = listening.getsockname()
        hanging = [socket.create_connection(at, PATIENCE) for _ in range(5)]
        for one in hanging[:2]:
            with suppress(ConnectionResetError):
                assert one.recv(1) == b""
        assert httpx.get(f"http://127.0.0.1:{at[1]}/", trust_env=False).text == "served"
        hanging[4].sendall(b"GET / HTTP/1.1\r\nhost: site\r\n\r\n")
        assert hanging[4].recv(15) == b"HTTP/1.1 200 OK"
        for one in hanging:
            one.close()
        server.should_exit = True
        thread.join()


def test_the_last_problems_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "daemon.log"
    log.write_text(
        "2026-11-30 00:40:12,093 INFO fedpact.provider: serving\n"
        "2026-11-30 00:41:12,093 WARNING fedpact.provider: trying again\n"
        "Traceback (most recent call last):\n"
        '{"time": "2026-11-30T00:42:00+0000", "level": "ERROR", "message": "it broke"}\n'
    )
    found = [(one.level, one.message) for one in last_problems(log)]
    assert found == [("ERROR", "it broke"), ("WARNING", "trying again")]
    [missing] = last_problems(tmp_path / "nowhere.log")
    assert "No such file" in missing.message
