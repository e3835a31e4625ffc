"""What the Python API makes of odd arguments."""

import math
from typing import Any, cast

import numpy as np
import pytest

from fedpact.api.request import Request, number_of
from fedpact.errors import InvalidInput
from fedpact.session import Session


def test_a_request_is_named_by_a_whole_number() -> None:
    assert number_of(np.int64(3)) == 3
    for wrong in ("1", 1.0, None, True):
        with pytest.raises(InvalidInput, match="is no number of a request, such as 1"):
            number_of(wrong)


@pytest.mark.parametrize("name", ["poll_interval", "patience"])
@pytest.mark.parametrize("seconds", [0, -1.0, math.nan, "x"])
def test_following_asks_for_seconds_above_0(name: str, seconds: Any) -> None:
    """A thread of the exchange ended with a trace, and the request was followed without it."""
    given = {"poll_interval": 1.0, name: seconds}
    with pytest.raises(InvalidInput, match=f"{name}: seconds above 0 are needed"):
        next(Request(cast(Session, None), 1).follow(**given))
