"""What the audit says of the sums that it read."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fedpact.audit.report import Broken
from fedpact.audit.secure_sums import SumChecks
from fedpact.consensus.secure_sum_record import GroupSum
from tests.support.summing import secure_specification

SEATS = (0, 1, 2, 3)
ROUNDS = [SimpleNamespace(number=1, valid=SEATS, tallied=True)]


def checks(found: dict[int, GroupSum | None]) -> SumChecks:
    history: Any = SimpleNamespace(
        spec=secure_specification(), require_key=lambda: None, group_sum=lambda _, seat: found[seat]
    )
    rounds: Any = ROUNDS
    return SumChecks(history, lambda: rounds)


def test_who_opened_a_false_share_is_named() -> None:
    one = GroupSum(SEATS, np.zeros(9, dtype=np.int64), (2,))
    assert checks(dict.fromkeys(SEATS, one)).sums() == (
        "1 sum in 1 round; round 1: seat 2 opened a false share"
    )


def test_a_sum_of_too_few_members_is_found() -> None:
    one = GroupSum((0, 1), np.zeros(9, dtype=np.int64))
    with pytest.raises(Broken, match="is of 2 members"):
        checks(dict.fromkeys(SEATS, one)).sums()
