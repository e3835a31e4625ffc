"""Signals to the requester's service while it waits for its node."""

import signal
from types import SimpleNamespace
from typing import Any

import pytest

from fedpact import waiting
from fedpact.cli import requester as commands
from fedpact.errors import NodeUnreachable
from fedpact.requester import serve
from fedpact.settings import Settings


def test_sighup_ends_no_service_that_waits_for_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """It had a handler for it once it served, and ended while it waited."""
    handlers: list[Any] = []

    class Waiting:
        def __init__(self, *_: object) -> None:
            handlers.append(signal.getsignal(signal.SIGHUP))
            if len(handlers) == 1:
                raise NodeUnreachable("no node")

        def give_up_when_stopped(self) -> None:
            pass

        def run(self) -> None:
            handlers.append(signal.getsignal(signal.SIGHUP))

    settings = Settings()
    session = SimpleNamespace(settings=settings, requester=None)
    monkeypatch.setattr(commands.session, "of", lambda _: session)
    monkeypatch.setattr(serve, "RequesterDaemon", Waiting)
    monkeypatch.setattr(waiting.time, "sleep", lambda _: None)
    monkeypatch.setattr("fedpact.logs.log_to_stderr", lambda *_, **__: None)
    before = signal.getsignal(signal.SIGHUP)
    commands.serve(SimpleNamespace(), None, log_json=False)  # type: ignore[arg-type]
    assert len(handlers) == 3
    assert all(callable(one) for one in handlers), handlers
    assert signal.getsignal(signal.SIGHUP) is before
