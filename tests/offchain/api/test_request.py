"""The Python API's view of a request: odd arguments, and when rounds are told."""

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from fedpact.api import request as api
from fedpact.api.request import Request, number_of
from fedpact.errors import InvalidInput
from fedpact.session import Session
from fedpact.types.requests import Status


def test_a_request_is_named_by_a_whole_number() -> None:
    assert number_of(np.int64(3)) == 3
    for wrong in ("1", 1.0, None, True):
        with pytest.raises(InvalidInput, match="is not a request number, such as 1"):
            number_of(wrong)


@pytest.mark.parametrize("name", ["poll_interval", "patience"])
@pytest.mark.parametrize("seconds", [0, -1.0, math.nan, "x"])
def test_following_asks_for_seconds_above_0(name: str, seconds: Any) -> None:
    """A thread of the exchange ended with a trace, and the request was followed without it."""
    given = {"poll_interval": 1.0, name: seconds}
    with pytest.raises(InvalidInput, match=f"{name}: seconds above 0 are needed"):
        next(Request(cast(Session, None), 1).follow(**given))


def test_each_final_round_is_told_at_once_though_earlier_ones_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Round 2's number was taken for a count, and round 3 kept back until two more were final."""
    chain: list[int] = []

    def steps(*_: Any, **__: Any) -> Iterator[Any]:
        for final, status in (([], Status.OPEN), ([2], Status.OPEN), ([2, 3], Status.OPEN)):
            chain[:] = final
            yield SimpleNamespace(final_rounds=len(final), status=status, model=False)
        chain.append(5)
        yield SimpleNamespace(final_rounds=3, status=Status.SETTLED, model=True)

    monkeypatch.setattr(api, "RequestLog", lambda *_: None)
    monkeypatch.setattr(api, "look", lambda *_: None)
    monkeypatch.setattr(
        api,
        "final_rounds",
        lambda _, __, after, ___: [SimpleNamespace(number=one) for one in chain if one > after],
    )
    session = SimpleNamespace(client=None, store=None, requester=SimpleNamespace(steps=steps))
    request = Request(cast(Session, session), 1)
    request.__dict__["specification"] = None
    told = [(one.number, list(chain)) for one in request.follow(poll_interval=1.0)]
    assert told == [(2, [2]), (3, [2, 3]), (5, [2, 3, 5])]
