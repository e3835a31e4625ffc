"""The game of incentives on hand-made scores."""

import numpy as np
import pytest

from lab.incentives.game import Asking, Game, Play, Result, Voting
from lab.incentives.measure import measure
from lab.incentives.scores import Recorded

EQUAL = Recorded([[3_000] * 5], 5_000, 50)
LAST_IS_POOR = Recorded([[3_000] * 4 + [4_500]], 5_000, 50)


def played(recorded: Recorded = EQUAL, **how: object) -> Result:
    game = Game(recorded, Play(**{"voting": {}, **how}))  # type: ignore[arg-type]
    return game.play(np.random.default_rng(0))


def test_equal_members_share_alike_but_for_who_leads() -> None:
    result = played()
    assert sum(result.pay) == pytest.approx(5)
    assert all(0.9 < pay < 1.6 for pay in result.pay)
    assert result.faults == (0, 0, 0, 0, 0)
    assert result.final_rounds == 10


def test_a_poor_model_earns_less() -> None:
    assert played(LAST_IS_POOR).pay[4] < 0.5 * min(played(LAST_IS_POOR).pay[:4])


@pytest.mark.parametrize("voting", [Voting.DERIDES, Voting.INVALID])
def test_a_false_vote_alone_earns_nothing(voting: Voting) -> None:
    result = played(voting={4: voting})
    assert (result.pay[4], result.faults[4]) == (0, 10)


def test_two_of_five_who_attest_nothing_stop_the_request() -> None:
    result = played(allies=frozenset({3, 4}), censors=True)
    assert (result.final_rounds, result.paid) == (0, 0)
    assert played(allies=frozenset({4}), censors=True).final_rounds == 10


def test_a_requester_that_opens_no_slice_pays_all() -> None:
    assert played(asking=Asking.KEEPS).paid == pytest.approx(1)
    assert played(asking=Asking.CANCELS).paid == pytest.approx(0.1)


def test_the_best_response_comes_first() -> None:
    found = measure({"honest": [EQUAL]}, 5, 0)["alone"]
    assert [one["own"] for one in found] == sorted((one["own"] for one in found), reverse=True)
