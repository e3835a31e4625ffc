"""No duty is done that costs more than it can earn, or than the policy allows."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.chain.records import Call
from fedpact.errors import FeeTooHigh
from fedpact.provider.affording import require_worth
from fedpact.provider.policy import Policy
from fedpact.provider.state import ProviderState
from fedpact.types.deployment import Deployment
from fedpact.types.rounds import RequestStatus

DEPLOYMENT = Deployment(31337, "0xaa", "0x1", "0x2", "0x3", 5, {})
PAYMENT = 3_000_000


@pytest.fixture
def view(tmp_path: Path) -> Any:
    """A request of 10 rounds and at most three providers, which pays each at most a million wei."""
    client = SimpleNamespace(
        market=SimpleNamespace(claimable=lambda *_: 700),
        resale=SimpleNamespace(claimable=lambda *_: 50, offered=lambda _: (90, 0)),
    )
    ctx = SimpleNamespace(
        client=client,
        policy=Policy(max_cost_per_request=2_000_000),
        state=ProviderState(tmp_path / "state.sqlite", DEPLOYMENT, "0xA"),
    )
    record = SimpleNamespace(
        payment=PAYMENT, max_rounds=10, max_providers=3, status=RequestStatus.OPEN
    )
    yield SimpleNamespace(id=7, seat=0, ctx=ctx, record=record, state=SimpleNamespace(members=0b11))
    ctx.state.close()


def calling(action: str) -> Call:
    return Call("0x1", b"", 0, action)


@pytest.mark.parametrize(
    ("action", "most"),
    [
        ("SharingMarket.join", 1_000_000 // 33),
        ("TrainingRounds.submit", 1_000_000),
        ("SharingMarket.claim", 700),
        ("ResaleMarket.claim", 50),
        ("ResaleMarket.seal", 90),
    ],
)
def test_a_call_may_cost_what_it_can_earn(view: Any, action: str, most: int) -> None:
    """Joining is judged by the whole request: at a high price a provider stays away."""
    require_worth(view, calling(action), most)
    with pytest.raises(FeeTooHigh, match=rf"{action} would cost about \d+ wei and earn at most"):
        require_worth(view, calling(action), most + 1)


def test_the_policy_limits_what_a_request_may_cost(view: Any) -> None:
    view.ctx.state.add_cost(7, 1_500_000)
    view.ctx.state.add_cost(8, 10**18)
    require_worth(view, calling("TrainingRounds.submit"), 500_000)
    with pytest.raises(FeeTooHigh, match="after 1500000 wei, more than max_cost_per_request"):
        require_worth(view, calling("TrainingRounds.submit"), 500_001)
