"""What a daemon does from time to time."""

import math
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.chain.records import Frame
from fedpact.provider.background import Background
from fedpact.provider.housekeeping import Housekeeping


@pytest.mark.parametrize("overdue", ["public_work", "private_work"])
def test_what_is_overdue_delays_nothing_else(overdue: str, tmp_path: Path) -> None:
    """Trainings of rounds that were over were still made, before those of the present round."""
    go, made = threading.Event(), list[str]()
    workers = {name: Background(0.0) for name in ("public_work", "private_work")}
    busy = workers[overdue]
    busy.start(lambda: go.wait(20), due=0.0)
    busy.result("of a round that is over", lambda: lambda: made.append("late"), due=10)

    house = Housekeeping(tmp_path, 0.0, None)
    house._measured_until = house._content_until = math.inf
    ctx: Any = SimpleNamespace(**workers, fetching=SimpleNamespace(tidy=lambda: None))
    house.keep(ctx, Frame(7, "0xb7", 50))

    go.set()
    busy.patience = 10.0
    busy.result("of this round", lambda: lambda: made.append("in time"), due=100)
    assert made == ["in time"]
    for one in workers.values():
        one.close()
