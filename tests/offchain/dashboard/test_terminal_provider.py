"""The requests of a provider on its terminal: those under way, or the last one that ended."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from fedpact.chain.client import ChainClient
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.dashboard.terminal import provider
from fedpact.dashboard.terminal.provider import ProviderPicture
from fedpact.provider.read_only import Decision
from fedpact.settings import Settings
from tests.support.chain_request import ChainRequest, People


def test_a_request_that_the_daemon_has_finished_does_not_stand_still(
    client: ChainClient, people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = people.members[0].address
    shown = ProviderPicture(client, EmbeddedStore(tmp_path), Settings(state=tmp_path), account)
    decided: dict[int, str] = {}

    def text() -> str:
        found = [Decision(one, standing, "", 0) for one, standing in decided.items()]
        monkeypatch.setattr(provider, "decisions", lambda *_: found)
        shown.look(None)
        out = StringIO()
        Console(file=out, width=120).print(shown)
        return out.getvalue()

    ended = ChainRequest.created(client, people)
    decided[ended.id] = "joined"
    assert f"request {ended.id}  joining" in text()
    client.send(people.requester, client.market.cancel(ended.id))
    client.send(people.requester, client.market.settle(ended.id, ended.terms, []))
    decided[ended.id] = "finished"  # before anybody looked again
    assert f"request {ended.id}  refunded" in text()

    under_way = ChainRequest.created(client, people)
    decided[under_way.id] = "joined"
    assert f"request {under_way.id}  joining" in text()
    assert f"request {ended.id} " not in text()
