"""The game of incentives on hand-made scores."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab.incentives.game import Asking, Attesting, Game, Play, Result, Voting
from lab.incentives.measure import measure, model_pay
from lab.incentives.scores import Recorded

ROOT = Path(__file__).resolve().parents[2]
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


def test_a_vote_copied_from_the_last_round_loses_where_scores_vary() -> None:
    varied = [[3_000 + 200 * ((seat + turn) % 5) for seat in range(5)] for turn in range(5)]
    recorded = Recorded(varied, 5_000, 50)
    measures, copies = (played(recorded, voting={4: how}) for how in (Voting.HONEST, Voting.COPIES))
    assert copies.faults[4] > 0 == measures.faults[4]
    assert copies.pay[4] < measures.pay[4]
    # What never changes can be copied, and then the vote is right.
    assert played(voting={4: Voting.COPIES}).pay == played().pay


@pytest.mark.parametrize("part", ["alone", "pair"])
def test_copying_a_vote_gains_nothing_by_the_published_figures(part: str) -> None:
    """However the copier trains: less than measuring, and less than to say openly that it did not
    judge."""
    found = json.loads((ROOT / "docs/results/incentives.json").read_text())
    own = {row["strategy"]: row["own"] for row in found[part]}
    for training in {row["training"] for row in found["models"]}:
        copied = own[f"{training}; {Voting.COPIES}"]
        assert copied < own[f"{training}; {Voting.BLIND}"] < own[f"{training}; {Voting.HONEST}"]


def test_two_of_five_who_attest_nothing_cost_themselves_alone() -> None:
    result = played(allies=frozenset({3, 4}), attesting=Attesting.NOTHING)
    assert (result.final_rounds, result.paid) == (10, pytest.approx(1))
    assert result.faults == (0, 0, 0, 10, 10)
    assert max(result.pay[3:]) < min(result.pay[:3])


def test_two_of_five_who_attest_another_model_have_a_fault() -> None:
    result = played(allies=frozenset({3, 4}), attesting=Attesting.OTHER)
    assert (result.final_rounds, result.faults) == (0, (0, 0, 0, 1, 1))
    alone = played(allies=frozenset({4}), attesting=Attesting.OTHER)
    assert (alone.final_rounds, alone.faults) == (10, (0, 0, 0, 0, 10))


def test_a_model_that_adds_nothing_earns_nothing() -> None:
    worthless = Recorded([[3_000] * 4 + [5_000]], 5_000, 50)
    found = model_pay([worthless])
    assert found == {"first": 0.0, "later": 0.0}
    assert played(worthless).pay[4] == pytest.approx(0.15, abs=0.01)


def test_a_requester_that_opens_no_slice_pays_all() -> None:
    assert played(asking=Asking.KEEPS).paid == pytest.approx(1)
    assert played(asking=Asking.CANCELS).paid == pytest.approx(0.1)


def test_the_best_response_comes_first() -> None:
    found = measure({"honest": [EQUAL]}, 5, 0)["alone"]
    assert [one["own"] for one in found] == sorted((one["own"] for one in found), reverse=True)
