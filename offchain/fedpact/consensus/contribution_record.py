"""What is kept of members' contributions from round to round, and what follows from it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fedpact.consensus.groups import GroupScore
from fedpact.consensus.shapley import Contribution
from fedpact.errors import InvalidInput

_GROUPS = "groups"
"""Key of a record's groups, beside its seats."""
HARM_SIGMAS = 3.0
"""Standard errors below zero beyond which a sum of contributions counts as harm."""


@dataclass(frozen=True)
class Standing:
    """What is kept of one seat's contributions so far, in units of error summed over examples."""

    deficit: float = 0.0
    """Sum of contributions and tolerated harm since it last was not negative (Page 1954); at most
    0."""
    variance: float = 0.0
    """Of `deficit`."""
    owed: float = 0.0
    """Sum of new contributions since it last was not negative; at most 0. Gains repay it first."""

    def after(self, contribution: Contribution, tolerated: float = 0.0) -> "Standing":
        """The standing after one more round, in which harm up to `tolerated` does not count.

        Earlier gains are no credit against later harm: a sum that is not negative starts again at
        zero.
        """
        deficit = self.deficit + contribution.total + tolerated
        return replace(
            self,
            deficit=min(deficit, 0.0),
            variance=self.variance + contribution.variance if deficit < 0 else 0.0,
        )

    def paid(self, contribution: Contribution) -> tuple["Standing", float]:
        """The standing after one more round's new contribution, and the gain that is left of it
        once what is owed is repaid.

        A member whose contributions are noise owes as often as it gains. The gains left add up to
        the highest that the sum of its contributions has been.
        """
        rest = self.owed + contribution.total
        return replace(self, owed=min(rest, 0.0)), max(rest, 0.0)

    @property
    def harm(self) -> float:
        """How far the deficit exceeds its statistical error; positive only if it does."""
        return -self.deficit - HARM_SIGMAS * math.sqrt(self.variance)

    @property
    def harmful(self) -> bool:
        """Whether the deficit exceeds its statistical error."""
        return self.harm > 0


@dataclass(frozen=True)
class ContributionRecord:
    """Standings by seat after the rounds scored so far; an auditor recomputes it from the first."""

    standings: Mapping[int, Standing] = field(default_factory=dict)
    groups: tuple[tuple[GroupScore, ...], ...] = ()
    """Of secure sums, in place of standings: the groups' scores of each judged round."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object; floats keep all their bits."""
        found: dict[str, Any] = {
            str(seat): [one.deficit, one.variance, one.owed]
            for seat, one in sorted(self.standings.items())
        }
        if self.groups:
            found[_GROUPS] = [[[one.members, one.gain] for one in made] for made in self.groups]
        return found

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ContributionRecord":
        """The record that `to_json` wrote; raises InvalidInput for anything else."""
        try:
            seats = {seat: kept for seat, kept in value.items() if seat != _GROUPS}
            standings = {
                int(seat): Standing(float(deficit), float(variance), float(owed))
                for seat, (deficit, variance, owed) in seats.items()
            }
            groups = tuple(
                tuple(GroupScore(tuple(map(int, members)), int(gain)) for members, gain in made)
                for made in value.get(_GROUPS, ())
            )
            return cls(standings, groups)
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidInput(f"not a record of contributions: {error}") from error
