"""Algorithm 1 of Lu et al. 2020 in both of its readings, a round an iteration.

The pseudocode leaves open whether participants learn side by side or one after another
(`learning.algorithm_one`, docs/adr/0018).
"""

from collections.abc import Sequence
from typing import Literal

from fedpact.learning.strategies.base import Strategy


class AlgorithmOne(Strategy):
    """`parallel`: M = (1/k) sum of m_i, or their union, by the family's aggregate. `sequential`:
    the model of the provider in turn, which trained on from the one before it, is the next M; turns
    go by seat, one a round, and one whose model is left out is passed over."""

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
