"""What a secure sum assumes of its members, and how much noise each of them adds.

The noise in the sum must be enough if as many members drop out, and as many collude, as the terms
say. Whoever colludes knows its own noise and takes it off. So each member adds 1 / honest of the
variance, where honest = members - dropouts - colluders; more members than that add more noise than
the promise needs.

Noise. A member's integers are a discrete Gaussian (`privacy.noise`), but a sum of discrete
Gaussians is not one. Its probabilities differ from those of one by at most the factor e^gap a value
(Kairouz, Liu & Steinke 2021, theorem 1). With 2^32 steps to a standard deviation this gap is
smaller than any number that a computer tells from 0; the cost counts it all the same.

Accounting. A sum with noise of multiplier z has the precision 1 / z^2; one part of `honest` of it
falls to each honest member's draw. So the sum counts as `honest` draws with the multiplier
z * sqrt(honest): then every drawn value counts for the sampler's error as well.
"""

import math
from dataclasses import dataclass, replace

from fedpact.errors import PrivacyError
from fedpact.privacy.accounting import MAX_STEPS, VALUES_BITS, PrivacyCost, calibrate, cost
from fedpact.privacy.noise import FRACTION_BITS
from fedpact.privacy.releases import GaussianRelease, Schedule

MAX_MEMBERS = 1024
"""Summands are below 2^52, and their sum must be below 2^63."""
MIN_HONEST = 2
"""One honest member alone would be known by its sum."""


@dataclass(frozen=True)
class SumTerms:
    """How many members a sum has, and how many may drop out or collude without harm.

    Raises PrivacyError for terms that protect nobody or that a sum could not be opened under.
    """

    members: int
    dropouts: int
    """Members that may be missing; with more, the sum is not opened."""
    colluders: int
    """Members that may tell each other, and whoever collects, all that they know."""

    def __post_init__(self) -> None:
        if not 2 <= self.members <= MAX_MEMBERS or min(self.dropouts, self.colluders) < 0:
            raise PrivacyError(
                f"a secure sum has 2 to {MAX_MEMBERS} members, of which none or more drop out or "
                f"collude, not {self.members}, {self.dropouts} and {self.colluders}"
            )
        if self.honest < MIN_HONEST or self.threshold > self.least:
            enough = self.dropouts + self.colluders + max(self.dropouts + 1, MIN_HONEST)
            raise PrivacyError(
                f"a secure sum of {self.members} members cannot allow for {self.dropouts} dropouts "
                f"and {self.colluders} colluders: it needs at least {enough}"
            )

    @property
    def least(self) -> int:
        """The least number of members in a sum that is opened."""
        return self.members - self.dropouts

    @property
    def honest(self) -> int:
        """The least number of members in a sum whose noise nobody else knows."""
        return self.least - self.colluders

    @property
    def threshold(self) -> int:
        """Shares that recover a secret: too many for any two sets of members that have only
        colluders in common.

        As many must agree to a set before anyone opens for it. An honest member agrees to one set;
        with 2 * threshold agreements, which two sets need, the honest ones would give one each and
        the colluders two: members + colluders in all, which is less. So one set is opened at most,
        and of each member one secret.
        """
        return (self.members + self.colluders) // 2 + 1

    @property
    def statement(self) -> str:
        """What is assumed, in words; shown beside every epsilon of a secure sum."""
        return (
            f"for the sum of {self.members} providers alone, if at most {self.colluders} of them "
            f"collude; sums of fewer than {self.least} are not opened"
        )


@dataclass(frozen=True)
class SumRelease:
    """Secure sums over `rounds`, of which a number is disputed: there every member's own part is
    opened, noised by what it added itself."""

    terms: SumTerms
    multiplier: float
    """Noise multiplier of each member's own part; the sum of `honest` parts has sqrt(honest) times
    as much."""
    rounds: int
    disputes: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.disputes <= self.rounds:
            raise PrivacyError(f"{self.disputes} disputes in {self.rounds} rounds")
        _draws(self.terms, self.rounds, self.disputes)

    @property
    def release(self) -> GaussianRelease:
        """As the ledger counts it: every honest member's draw by itself."""
        draws = _draws(self.terms, self.rounds, self.disputes)
        return GaussianRelease(self.terms.honest * self.multiplier, 1.0, draws)

    @classmethod
    def calibrated(
        cls,
        terms: SumTerms,
        epsilon: float,
        delta: float,
        rounds: int,
        disputes: int = 0,
        beside: "tuple[SumRelease, ...]" = (),
    ) -> "SumRelease":
        """With the least noise that keeps (epsilon, delta) over all rounds and disputes.

        Zero-out adjacency. `beside`: other secure sums of the same schedule, whose noise is given.
        Raises PrivacyError as `accounting.calibrate` does.
        """
        draws = _draws(terms, rounds, disputes)
        others = tuple(one.release for one in beside)
        joined = calibrate(epsilon - _gap_epsilon(draws), delta, draws, 1.0, others)
        return cls(terms, joined / terms.honest, rounds, disputes)


def sum_cost(releases: tuple[SumRelease, ...], delta: float) -> PrivacyCost:
    """(epsilon, delta) of secure sums, fixed in advance, for a unit of any honest member."""
    schedule = Schedule(tuple(one.release for one in releases))
    found = cost(schedule, delta)
    extra = _gap_epsilon(sum(one.release.steps for one in releases))
    return replace(
        found,
        epsilon=found.epsilon + extra,
        epsilon_replacement=found.epsilon_replacement + extra,
        accountant=f"{found.accountant}, sums of discrete Gaussians (Kairouz et al. 2021)",
    )


def sum_gap(members: int, std: float) -> float:
    """Bound on |log(P / Q)| of a value, where P is the sum of `members` discrete Gaussians of
    standard deviation `std` (>= 1/2, in steps) each, and Q the discrete Gaussian of its variance.

    Kairouz, Liu & Steinke 2021, theorem 1. It holds for any common lattice, shifted or not: the
    proof bounds sums of a Gaussian over a shifted lattice by Poisson's formula.
    """
    return 10 * math.fsum(
        math.exp(-2 * math.pi**2 * std**2 * k / (k + 1)) for k in range(1, members)
    )


def _draws(terms: SumTerms, rounds: int, disputes: int) -> int:
    """Draws of multiplier honest * (that of a part). A sum is `honest` of them; a part opened by
    itself weighs honest^2: its noise is honest times smaller than that of one draw.

    Raises PrivacyError where there are more than the sampler's error is proven for."""
    draws = terms.honest * rounds + terms.honest * (terms.honest - 1) * disputes
    if not 1 <= draws <= MAX_STEPS:
        raise PrivacyError(
            f"{rounds} rounds of secure sums with {disputes} disputes count as {draws} draws; "
            f"from 1 to {MAX_STEPS} can be accounted for"
        )
    return draws


def _gap_epsilon(draws: int) -> float:
    """What the gap adds to epsilon, for both data sets."""
    return 2 * sum_gap(MAX_MEMBERS, 2.0**FRACTION_BITS) * math.ldexp(draws, VALUES_BITS)
