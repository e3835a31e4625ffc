"""A requester that wants to use up a provider's lifetime budget: for nothing, or for its price.

Each attack does to ledger and policy what a daemon does on joining, training, publishing and on the
end of a request.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fedpact.errors import BudgetExceeded, FedpactError, PolicyRefusal
from fedpact.learning.families import family_of
from fedpact.privacy.accounting import calibrate, cost
from fedpact.privacy.ledger.ledger import Ledger, Payers
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.privacy.lifetime_budget import PrivacyLimit
from fedpact.privacy.releases import GaussianRelease, of_request
from fedpact.provider.policy import Policy
from fedpact.types.requests import ETHER
from fedpact.types.specification import Specification
from tests.support.specifications import SOUND, specification

DELTA = 1e-5
UNITS = tuple(bytes([number]) * 32 for number in range(200))
PRICE = 10**18
"""Wei for one epsilon."""


def asking(epsilon: float, stated: float | None = None) -> Specification:
    """A request of one round that costs `epsilon`, whatever it states."""
    privacy = {
        **SOUND,
        "epsilon": stated or epsilon,
        "delta": DELTA,
        "noise_multiplier": calibrate(epsilon, DELTA, 1, 1.0),
    }
    return specification(privacy=privacy, rounds=1, local={"steps": 1, "learning_rate": 0.5})


@dataclass
class Provider:
    """What a daemon does with its ledger and policy, request after request."""

    ledger: Ledger
    policy: Policy
    requests: int = 0
    paid: int = 0
    limits: tuple[PrivacyLimit, PrivacyLimit] = field(init=False)

    def __post_init__(self) -> None:
        self.limits = (
            PrivacyLimit(self.policy.epsilon_lifetime, DELTA),
            PrivacyLimit(self.policy.epsilon_per_requester, DELTA),
        )

    def serve(
        self,
        spec: Specification,
        requester: str,
        pay: int,
        *,
        published: bool,
        token: str = ETHER,
    ) -> None:
        """From joining to the end; `pay` in the token's smallest unit, for this provider. Raises
        why it is declined."""
        schedule, release = of_request(spec), GaussianRelease.of_round(spec, 1)
        assert schedule is not None
        payment, values = pay * spec.max_providers, family_of(spec).template(spec).parameters
        epsilon = cost(schedule, DELTA).epsilon
        self.policy.check(spec, payment, values, len(UNITS), epsilon, token)
        who = Payers("data", requester, *self.limits)
        self.requests += 1
        self.ledger.hold(b"d" * 32, self.requests, schedule, who)
        one = ReleaseId(b"d" * 32, self.requests, 1)
        self.ledger.begin(one, UNITS, release, who)
        self.ledger.keep(one, b"sealed", at=0)
        if published:
            self.ledger.publishing(one)
            self.paid += pay
        self.ledger.end(b"d" * 32, self.requests)

    @property
    def spent(self) -> float:
        return self.ledger.spent(DELTA).epsilon


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite", b"k" * 32) as opened:
        yield opened


def test_requests_that_are_cancelled_before_anything_is_published_drain_nothing(
    ledger: Ledger,
) -> None:
    """Of the code before ADR 31, eleven such requests used up a lifetime of 20."""
    provider = Provider(ledger, Policy(epsilon_per_request=8.0, epsilon_per_requester=8.0))
    for _ in range(30):
        provider.serve(asking(8.0), "0xA", 0, published=False)
    assert provider.spent == 0
    provider.serve(asking(8.0), "0xB", 0, published=True)


def test_one_account_uses_up_no_more_than_its_own_limit(ledger: Ledger) -> None:
    provider = Provider(ledger, Policy(epsilon_per_requester=3.0))
    for _ in range(7):  # Gaussian DP: seven of 1 are 2.9 together
        provider.serve(asking(1.0), "0xA", 0, published=True)
    for _ in range(3):
        with pytest.raises(BudgetExceeded, match="requester's"):
            provider.serve(asking(1.0), "0xA", 0, published=True)
    assert 2.0 < provider.spent <= 3.0
    provider.serve(asking(1.0), "0xB", 0, published=True)


@pytest.mark.parametrize("epsilon", [0.25, 1.0, 4.0])
def test_a_lifetime_is_sold_for_its_price_to_whatever_number_of_accounts(
    ledger: Ledger, epsilon: float
) -> None:
    provider = Provider(ledger, Policy(min_pay_per_epsilon=PRICE))
    with pytest.raises(PolicyRefusal, match=r"wei for epsilon .* is under"):
        provider.serve(asking(epsilon), "0x0", int(epsilon * PRICE * 0.99), published=True)
    assert provider.spent == 0
    served = 0
    try:
        while served < 300:
            pay = int(epsilon * PRICE)
            provider.serve(asking(epsilon), f"0x{served + 1:x}", pay, published=True)
            served += 1
            assert provider.paid >= provider.spent * PRICE
    except FedpactError as error:
        assert isinstance(error, BudgetExceeded)  # noqa: PT017 - the loop ends with it
    assert provider.spent <= provider.policy.epsilon_lifetime
    # Small requests pay for more than they use: many of them cost less together than their sum.
    assert provider.paid >= 0.9 * provider.policy.epsilon_lifetime * PRICE


def test_stating_less_than_the_noise_costs_does_not_lower_the_price(ledger: Ledger) -> None:
    """This worked before: the price followed the stated epsilon, and 4 cost as much as 0.001."""
    provider = Provider(ledger, Policy(min_pay_per_epsilon=PRICE))
    with pytest.raises(PolicyRefusal, match="wei for epsilon 4 is under"):
        provider.serve(asking(4.0, stated=0.001), "0xA", PRICE // 1000, published=True)
    assert provider.spent == 0


def test_a_price_is_asked_in_a_token_as_well(ledger: Ledger) -> None:
    """It was asked in ether alone: a lifetime of 8 could be had for two rounds' pay in a token."""
    token = "0x" + "ab" * 20
    policy = Policy(
        min_pay_per_epsilon=PRICE, tokens={token: 1}, tokens_per_epsilon={token: 1_000_000}
    )
    provider = Provider(ledger, policy)
    with pytest.raises(PolicyRefusal, match=r"for epsilon 4 is under 1000000"):
        provider.serve(asking(4.0), "0xA", 3_900_000, published=True, token=token)
    assert provider.spent == 0
    provider.serve(asking(4.0), "0xA", 4_000_000, published=True, token=token)
