"""What a daemon's log says of a request whose duty fails."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from fedpact.chain.records import Frame
from fedpact.errors import FeeTooHigh, NodeUnreachable
from fedpact.provider.dispatch import Requests

FRAME = Frame(9, "0xb9", 900)


def test_an_error_is_logged_again_when_more_than_its_figures_changes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While gas was too dear, each attempt logged a line with the price of its block."""
    patient = SimpleNamespace(waits=lambda _: False, failed=lambda _: None)
    requests = Requests(cast(Any, None), cast(Any, None), cast(Any, patient))
    errors = [
        FeeTooHigh("enrol would cost about 31000 wei: waiting for a lower price"),
        FeeTooHigh("enrol would cost about 32500 wei: waiting for a lower price"),
        NodeUnreachable("two nodes disagree"),
    ]

    def fail(*_: object) -> None:
        raise errors.pop(0)

    monkeypatch.setattr(requests, "_view", fail)
    caplog.set_level("INFO", "fedpact")
    while errors:
        assert not requests.advance(7, FRAME)
    first = "request 7: will try again: enrol would cost about 31000 wei: waiting for a lower price"
    assert caplog.messages == [first, "request 7: will try again: two nodes disagree"]
