"""A service that starts while its node or store is not there yet."""

import pytest

from fedpact import waiting
from fedpact.errors import InvalidInput, NodeUnreachable
from fedpact.waiting import LONGEST_WAIT, when_there


def test_it_waits_longer_each_time_and_says_each_reason_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(waiting.time, "sleep", slept.append)
    troubles = ["no node"] * 7 + ["no chain"] * 2
    reasons: list[str] = []

    def action() -> str:
        if troubles:
            raise NodeUnreachable(troubles.pop(0))
        return "started"

    assert when_there(action, reasons.append) == "started"
    assert reasons == ["no node", "no chain"]
    assert [one.message for one in caplog.records] == [
        f"{reason}: waiting for it" for reason in reasons
    ]
    assert slept == sorted(slept)
    assert (len(slept), slept[-1]) == (9, LONGEST_WAIT)


def test_what_waiting_cannot_mend_is_raised() -> None:
    def action() -> None:
        raise InvalidInput("a wrong setting")

    with pytest.raises(InvalidInput, match="a wrong setting"):
        when_there(action)
