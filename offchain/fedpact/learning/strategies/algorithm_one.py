"""Algorithm 1 of Lu et al. 2020 in both of its readings, one iteration per round.

The pseudocode leaves open whether participants learn in parallel or one after another
(`lab/texts/algorithm_one.py`, docs/adr/0018).
"""

from collections.abc import Sequence
from typing import Literal

from fedpact.learning.strategies.base import Strategy


class AlgorithmOne(Strategy):
    """`parallel`: M = (1/k) sum of m_i, or their union, by the family's aggregate. `sequential`:
    the next M is the model of one provider, which continued training from the previous M. Turns go
    by seat, one per round; a seat whose model is not included is skipped."""

    name = "algorithm-one"
    reading: Literal["parallel", "sequential"] = "parallel"

    def aggregated(
        self, round_number: int, seats: Sequence[int], included: Sequence[int]
    ) -> list[int]:
        if self.reading == "parallel":
            return list(included)
        order = sorted(seats)
        turn = (round_number - 1) % len(order)
        return [seat for seat in order[turn:] + order[:turn] if seat in included][:1]
