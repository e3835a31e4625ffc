"""A simulated round ends as the contracts would end it: the same models included, the same points.

The votes are those of the vectors that the contracts are tested with
(tests/contracts/libraries/test_judgement_vectors.py).
"""

import json
from pathlib import Path

import numpy as np
import pytest

from fedpact.chain.signed_messages import BLIND
from fedpact.consensus.proof_of_quality import points_of
from fedpact.data.dataset import Dataset
from fedpact.errors import InvalidInput
from fedpact.privacy.noise import SeededNoise
from fedpact.simulation.adversaries import NotANumber, SimulatedProvider
from fedpact.simulation.request import Seat, simulate
from fedpact.types.scores import lane
from tests.support.specifications import specification

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "judgement.json").read_text())
DATA = Dataset(np.eye(3, 2, dtype=np.float32), np.arange(3), ())


class Votes(SimulatedProvider):
    """Votes as recorded."""

    def __init__(self, word):
        self.word = word

    def vote(self, scores, own_seat):
        return {seat: lane(self.word, seat) for seat in scores if seat != own_seat}


class Silent(SimulatedProvider):
    def attest(self, digest):
        return None


def run(providers, **changes):
    fields = {"max_providers": 16, "max_error": 9000, "score": "model", "vote_band": 1000}
    spec = specification(**fields | changes)
    seats = [Seat(number, DATA, one) for number, one in enumerate(providers)]
    return simulate(spec, seats, [DATA] * spec.rounds, lambda who, when: SeededNoise(0))


def whole(case):
    """Whether all seats submitted, voted and saw the slice: what a simulation can play."""
    seats, seen = case["submitted"].bit_length(), [int(one, 16) for one in case["votes"].values()]
    return case["submitted"] == 2**seats - 1 and len(seen) == seats and max(seen) < BLIND


@pytest.mark.parametrize(
    "case", [pytest.param(one, id=one["name"]) for one in filter(whole, VECTORS["rounds"])]
)
def test_a_round_ends_as_on_chain(case):
    words = [int(case["votes"][str(seat)], 16) for seat in range(len(case["votes"]))]
    spec = {"max_error": case["max_error"], "vote_band": case["band"]}
    result = run([Votes(word) for word in words], **spec)
    board = case["board"]
    if not board["included"]:
        assert (result.stalled, result.rounds, sum(result.points)) == (True, [], 0)
        return
    seats = range(len(words))
    assert result.rounds[0].included == board["included"]
    assert list(result.rounds[0].medians) == [lane(int(board["medians"], 16), s) for s in seats]
    # All attest the same model, and one that is included and eligible leads.
    eligible = [seat for seat in seats if board["eligible"] >> seat & 1]
    rewards = [
        own - judged - 500 // max(1, len(eligible)) * (seat in eligible)
        for seat, own, judged in zip(
            seats, result.points, points_of(int(board["points"], 16), len(words)), strict=True
        )
    ]
    led = [seat for seat in seats if rewards[seat] == 500]
    assert sum(rewards) == 500 * len(led) <= 500
    assert all(board["included"] & board["eligible"] & 1 << seat for seat in led)
    assert result.earned[0].faults == board["faults"]


def test_silence_in_the_attestations_is_a_fault_and_earns_nothing_for_them():
    result = run([SimulatedProvider()] * 3 + [Silent()])
    assert not result.stalled
    assert result.earned[0].faults == 0b1000
    *others, silent = result.points
    assert sorted(own - silent for own in others) == [166, 166, 666]
    *honest, fourth = result.reputations()
    assert fourth < min(honest)


def test_a_round_that_too_few_attest_ends_the_request_without_a_model():
    result = run([SimulatedProvider()] * 2 + [Silent()] * 2, rounds=2)
    assert (result.stalled, len(result.rounds), len(result.earned)) == (True, 0, 1)
    # Two attested alike, so silence is a fault; nobody is paid, and it alone is recorded.
    assert result.reputations() == [4000, 4000, 3900, 3900]


def test_a_round_without_any_model_ends_the_request():
    result = run([NotANumber()] * 3)
    assert (result.stalled, result.rounds, result.points) == (True, [], [0, 0, 0])


def test_more_providers_than_seats_are_refused():
    with pytest.raises(InvalidInput, match="17 providers: a round has 16 seats at most"):
        run([SimulatedProvider()] * 17)


def test_a_request_ends_with_the_round_that_meets_the_target():
    rounds = {"rounds": 3}
    assert len(run([SimulatedProvider()] * 3, **rounds).rounds) == 3
    assert len(run([SimulatedProvider()] * 3, **rounds, target=10_000).rounds) == 1
