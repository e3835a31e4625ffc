"""Check of what the request cost each provider in privacy: by the rounds in which it took part."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from fedpact.audit.pool import PoolChecks
from fedpact.audit.pool_history import PoolHistory
from fedpact.audit.report import Unavailable, counted, require
from fedpact.audit.request_events import Evidence
from fedpact.audit.rounds import RoundChecks
from fedpact.types.privacy import PrivacyMode
from fedpact.types.requests import seats_of

if TYPE_CHECKING:
    from fedpact.privacy.accounting import PrivacyCost
    from fedpact.types.specification import Specification

_ROUNDING = 1e-9


class PrivacyChecks:
    """One method per item; each returns what it saw, or raises Broken or Unavailable."""

    def __init__(
        self,
        evidence: Evidence,
        pool: PoolChecks,
        rounds: RoundChecks,
        history: PoolHistory,
        took_part: Callable[[], dict[int, list[int]]] | None = None,
    ) -> None:
        """`took_part`: the rounds in which each member released a model, where the chain alone does
        not say it."""
        self._took = took_part
        self._e = evidence
        self._pool = pool
        self._rounds = rounds
        self._history = history

    def privacy(self) -> str:
        """No provider released more models than the rounds that drew it, one a round, and none
        more than the specification's epsilon covers."""
        spec = self._history.spec
        took = self._took_part() if self._took is None else self._took()
        delta, stated = spec.privacy.delta, spec.privacy.epsilon
        if spec.privacy.mode is not PrivacyMode.SOUND or delta is None or stated is None:
            return f"{spec.privacy.statement}; {_rounds_of(took)}"
        figures, accountants = [], set[str]()
        for index, numbers in sorted(took.items()):
            spent = _cost(spec, numbers, delta)
            epsilon = 0.0 if spent is None else spent.epsilon
            if spent is not None:
                accountants.add(spent.accountant)
            require(
                epsilon <= stated + _ROUNDING,
                f"member {index} released {len(numbers)} models at epsilon {epsilon:.3f}; the"
                f" specification says {stated:g}",
            )
            figures.append(f"member {index}: {epsilon:.3f} in {counted(len(numbers), 'round')}")
        from fedpact.privacy.accounting import UNIT

        found = f"epsilon at delta {delta:g}, for a {UNIT} replaced by nothing"
        if accountants:
            found += f", by the {' and the '.join(sorted(accountants))}"
        found += f": {', '.join(figures)}"
        return found if spec.privacy.sum is None else f"{found}; {spec.privacy.statement}"

    def _took_part(self) -> dict[int, list[int]]:
        """The rounds in which each member submitted, by pool index; members never drawn have none.

        A void start's model is sealed again for the next: it is one release.
        """
        if not self._e.rounds:
            raise Unavailable("the request has not started")
        found: dict[int, list[int]] = {one: [] for one in range(len(self._pool.roster.members))}
        for number, played in self._rounds.played.items():
            self._rounds.readable(self._e.rounds[number - 1])
            for seat in seats_of(played.submitted):
                require(
                    seat < len(played.seats.indices),
                    f"round {number}: seat {seat} submitted a model, and was not drawn",
                )
                found[played.seats.indices[seat]].append(number)
        return found


def _cost(spec: "Specification", numbers: list[int], delta: float) -> "PrivacyCost | None":
    """Of a member's releases in these rounds; None: there are none."""
    from fedpact.privacy.accounting import cost
    from fedpact.privacy.releases import of_rounds

    event = of_rounds(spec, numbers)
    return None if event is None else cost(event, delta)


def _rounds_of(took: dict[int, list[int]]) -> str:
    return ", ".join(f"member {i}: {counted(len(rounds), 'round')}" for i, rounds in took.items())
