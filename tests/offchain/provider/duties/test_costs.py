"""No duty is done that costs more than it can earn, or than the policy allows."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.chain.records import Call
from fedpact.errors import FeeTooHigh
from fedpact.provider.duties.costs import require_worth
from fedpact.provider.policy import Policy
from fedpact.provider.state.checkpoint import ProviderState
from fedpact.types.deployment import Deployment
from fedpact.types.requests import ETHER

DEPLOYMENT = Deployment(31337, "0xaa", "0x1", "0x2", "0x3", 5, {})
PAY, TOKEN = 3_000_000, "0x" + "11" * 20


@pytest.fixture
def view(tmp_path: Path) -> Any:
    """A request of 10 rounds and at most three members, which pays each at most a million wei."""
    client = SimpleNamespace(resale=SimpleNamespace(offered=lambda *_: SimpleNamespace(price=90)))
    ctx = SimpleNamespace(
        client=client,
        policy=Policy(max_cost_per_request=2_000_000),
        state=ProviderState(tmp_path / "state.sqlite", DEPLOYMENT, "0xA"),
    )
    terms = SimpleNamespace(pay=PAY, max_rounds=10, max_pool=3, cohort=3, token=ETHER)
    yield SimpleNamespace(id=7, ctx=ctx, terms=terms, frame=None)
    ctx.state.close()


def calling(action: str) -> Call:
    return Call("0x1", b"", 0, action)


@pytest.mark.parametrize(
    ("action", "most"),
    [
        ("TrainingPool.enrol", 1_000_000 // 33),
        ("TrainingRounds.postRound", 1_000_000),
        ("ResaleMarket.seal", 90),
    ],
)
def test_a_call_may_cost_what_it_can_earn(view: Any, action: str, most: int) -> None:
    """Joining is judged by the whole request: at a high price a provider stays away."""
    require_worth(view, calling(action), most)
    with pytest.raises(FeeTooHigh, match=rf"{action} would cost about \d+ wei and earn at most"):
        require_worth(view, calling(action), most + 1)


def test_a_smaller_cohort_costs_fewer_rounds(view: Any) -> None:
    view.terms.cohort = 1
    require_worth(view, calling("TrainingPool.enrol"), 1_000_000 // (3 + 3 * 4))


def test_what_a_token_pays_is_not_compared_with_wei(view: Any) -> None:
    view.terms.token = TOKEN
    require_worth(view, calling("TrainingRounds.postRound"), 1_000_001)


def test_the_policy_limits_what_a_request_may_cost(view: Any) -> None:
    view.ctx.state.add_cost(7, 1_500_000)
    view.ctx.state.add_cost(8, 10**18)
    require_worth(view, calling("TrainingRounds.postRound"), 500_000)
    with pytest.raises(FeeTooHigh, match="after 1500000 wei, more than max_cost_per_request"):
        require_worth(view, calling("TrainingRounds.postRound"), 500_001)
