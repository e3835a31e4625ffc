"""Secure sums in the training without votes: what providers release is their sum alone.

One round in PROTOCOL_ROUNDS goes through all of the protocol, and so does every dispute; in the
others the same integers are added, which gives the same sum (tests/offchain/privacy/secure_sum). In
groups, each group's sum is opened and scored on public images; what does harm is left out.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import product
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fedpact.consensus.groups import GROUP, UNITS, GroupScore, groups, worths
from fedpact.privacy.linear_sums import sum_std
from fedpact.privacy.noise import NoiseSource, SeededNoise, from_half_steps
from fedpact.privacy.secure_sum.terms import SumRelease, SumTerms, sum_cost
from lab.fixed_features.protocol import opened_parts, opened_sum
from lab.fixed_features.training import DELTA, Plan, Round, Sum, Task, split_up, trained_case

PROTOCOL_ROUNDS = 40
POISON = -5.0
"""What a poisoner multiplies its clipped sum with; nobody can see that it is too long."""
ADVERSE = 0.02
"""A sum with which this much more of the public images are wrong is left out."""

Integers = NDArray[np.int64]


class SecureSettings(BaseModel):
    """`dropouts` and `colluders`: as `SumTerms`, of the whole sum or, with `groups`, of each group.
    `absent`: members that send no masked vector, other ones in each round. `poisoners`: the first
    members. `disputes`: how often a member's own part may be opened because its group did harm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dropouts: Annotated[int, Field(ge=0)]
    colluders: Annotated[int, Field(ge=0)]
    absent: Annotated[int, Field(ge=0)] = 0
    groups: bool = False
    poisoners: Annotated[int, Field(ge=0)] = 0
    disputes: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _few_enough(self) -> Self:
        if self.absent > self.dropouts:
            raise ValueError(f"{self.absent} are absent where {self.dropouts} may drop out")
        return self


@dataclass
class SecureSums:
    """A `training.Summation`."""

    settings: SecureSettings
    providers: int
    releases: tuple[SumRelease, SumRelease]
    """For centring, and for the gradients."""
    noises: Sequence[NoiseSource]
    seed: int
    scores: list[list[GroupScore]] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)
    """How often each member's own part was opened."""
    accused: list[int] = field(default_factory=list)
    """The members whose parts were found harmful, once for each time."""

    @classmethod
    def of(
        cls,
        settings: SecureSettings,
        providers: int,
        plan: Plan,
        budget: tuple[float, float],
        noises: Sequence[NoiseSource],
        seed: int,
    ) -> "SecureSums":
        """With the noise that keeps `budget`, an epsilon and a delta.

        In groups it is set for the smallest one. Raises PrivacyError for terms that protect nobody.
        """
        smallest = GROUP if settings.groups else providers
        terms = SumTerms(smallest, settings.dropouts, settings.colluders)
        centring = SumRelease(terms, plan.centring_multiplier / terms.honest**0.5, 1)
        epsilon, delta = budget
        gradients = SumRelease.calibrated(
            terms, epsilon, delta, plan.rounds, settings.disputes, (centring,)
        )
        return cls(settings, providers, (centring, gradients), noises, seed, opened=[0] * providers)

    def __call__(self, made: Round) -> Sum:
        values, count = made.sums, made.sums[0].size
        release = self.releases[min(made.number, 1)]
        std = sum_std(count, made.norm, release.multiplier)
        integers = [
            noise.add_integers(self._sent(made, number).reshape(-1), std)
            for number, noise in enumerate(self.noises)
        ]
        absent = {(made.number + step) % self.providers for step in range(self.settings.absent)}
        total, counted = np.zeros(count), list[int]()
        scores = []
        for members in self._groups(made.number):
            present = [member for member in members if member not in absent]
            found = from_half_steps(self._opened(made.number, integers, members, present), std)
            if made.number and self.settings.groups:
                gain = made.gain(found, present)
                scores.append(GroupScore(tuple(present), gain))
                if gain < -ADVERSE * made.judged_on:
                    found, present = self._disputed(made, integers, members, std)
            total += found
            counted += present
        if scores:
            self.scores.append(scores)
        return Sum(total.reshape(values[0].shape), counted)

    def _opened(
        self,
        number: int,
        integers: Sequence[Integers],
        members: Sequence[int],
        present: Sequence[int],
    ) -> Integers:
        """The sum of those present; through the protocol in one of PROTOCOL_ROUNDS."""
        if number % PROTOCOL_ROUNDS != 1:
            return np.asarray(np.sum([integers[member] for member in present], axis=0))
        held = {members.index(member): integers[member] for member in present}
        return opened_sum(self._terms(members), self._context("sum", number, members), held)

    def details(self) -> dict[str, Any]:
        """How often parts were opened, and what the scores say of the members."""
        found: dict[str, Any] = {"opened": self.opened}
        if not self.scores:
            return found
        worth = [one / UNITS for one in worths(self.scores, self.providers)]
        return found | {"worths": worth, "accused": self.accused}

    def told_apart(self) -> float:
        """Share of the pairs of a poisoner and an honest member of which the latter's worth is
        larger."""
        found = worths(self.scores, self.providers)
        bad = self.settings.poisoners
        pairs = list(product(found[:bad], found[bad:]))
        return sum(poisoner < honest for poisoner, honest in pairs) / len(pairs)

    def _sent(self, made: Round, number: int) -> NDArray[np.float64]:
        poisons = made.number > 0 and number < self.settings.poisoners
        return made.sums[number] * POISON if poisons else made.sums[number]

    def _groups(self, number: int) -> tuple[tuple[int, ...], ...]:
        if not self.settings.groups:
            return (tuple(range(self.providers)),)
        return groups(sha256(f"groups {self.seed} {number}".encode()).digest(), self.providers)

    def _terms(self, members: Sequence[int]) -> SumTerms:
        return SumTerms(len(members), self.settings.dropouts, self.settings.colluders)

    def _context(self, purpose: str, number: int, members: Sequence[int]) -> bytes:
        return f"{purpose}, seed {self.seed}, round {number}, members {members}".encode()

    def _disputed(
        self, made: Round, integers: Sequence[Integers], members: Sequence[int], std: float
    ) -> tuple[NDArray[np.float64], list[int]]:
        """What is left of a group whose sum did harm: nothing, or if all its members may still be
        opened, the parts that do none."""
        left = np.zeros(integers[0].size)
        if max(self.opened[member] for member in members) >= self.settings.disputes:
            return left, []
        context = self._context("dispute", made.number, members)
        terms = self._terms(members)
        counted = []
        held = [integers[member] for member in members]
        for member, part in zip(members, opened_parts(terms, context, held), strict=True):
            self.opened[member] += 1
            value = from_half_steps(part, std)
            if made.gain(value, [member]) < -ADVERSE * made.judged_on:
                self.accused.append(member)
            else:
                left += value
                counted.append(member)
        return left, counted


def run_case(
    task: Task,
    settings: SecureSettings,
    epsilon: float,
    seed: int,
    plan: Plan,
    providers: int,
    cut: str,
    examples: int | None,
) -> dict[str, Any]:
    """As `training.run_case`, with secure sums in place of every provider's own noise."""
    noises = [SeededNoise(1000 * seed + number) for number in range(providers)]
    sums = SecureSums.of(settings, providers, plan, (epsilon, DELTA), noises, seed)
    held = split_up(task, seed, providers, cut, examples)
    found = trained_case(task, held, plan, sums)
    covered = "the sums of groups" if settings.groups else "the sums"
    return found | {
        "noise_multiplier": sums.releases[1].multiplier,
        "privacy": {**asdict(sum_cost(sums.releases, DELTA)), "adjacency": "zero-out"},
        "covers": f"{covered}, of which nobody sees a part: {sums.releases[1].terms.statement}",
        "members": sums.details(),
        "told_apart": sums.told_apart() if sums.scores and settings.poisoners else None,
    }
