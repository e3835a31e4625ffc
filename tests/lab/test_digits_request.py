"""The digits request, simulated whole: one seed here, five in docs/results/digits.json."""

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fedpact.data import sources
from fedpact.demo import drafts
from fedpact.errors import DataError
from fedpact.privacy.accounting import cost
from fedpact.privacy.releases import of_request
from fedpact.simulation.adversaries import POISONS
from fedpact.simulation.baselines import central
from fedpact.simulation.request import accuracy
from lab.digits import request as digits
from lab.digits.measure import measure, write

SEED = 7
NOISE = int.from_bytes(os.urandom(8), "big")
"""Drawn afresh: what is asserted must hold whatever the noise; a failure prints it."""


@cache
def case():
    return digits.setting(SEED)


@cache
def alone():
    return digits.run(case(), NOISE, absent=True)


def test_four_honest_providers_reach_the_target_under_privacy():
    request = digits.run(case(), NOISE)
    reached = accuracy(case().spec, request.model, case().test)
    single = max(digits.single_accuracies(case(), NOISE))
    assert reached >= 0.85, NOISE
    assert reached >= single + 0.20, NOISE
    assert [request.times_excluded(seat) for seat in range(4)] == [0] * 4, NOISE
    assert min(request.points) > 0
    assert accuracy(case().spec, central(case().spec, case().parts), case().test) >= reached


@pytest.mark.parametrize("kind", POISONS)
def test_poison_is_excluded_and_earns_next_to_nothing(kind):
    request = digits.run(case(), NOISE, POISONS[kind]())
    reached = accuracy(case().spec, request.model, case().test)
    without = accuracy(case().spec, alone().model, case().test)
    *honest, hostile = request.points
    assert reached >= without - 0.03, NOISE
    assert hostile <= 0.1 * np.mean(honest), NOISE
    assert min(honest) > 0
    *theirs, own = request.reputations()
    assert own < min(theirs), NOISE


def test_the_request_costs_the_stated_epsilon():
    spec = case().spec
    found = cost(of_request(spec), drafts.DELTA)
    assert 3.9 < found.epsilon <= drafts.EPSILON
    assert spec.rounds <= 10


def test_nothing_is_shared_between_providers_evaluation_and_test():
    source = sources.digits(SEED)
    private, evaluation = drafts.split(source, drafts.ROUNDS, SEED)
    assert not set(private) & set(evaluation)
    assert sum(map(len, case().parts)) == len(private)
    assert sum(map(len, case().slices)) == len(evaluation) == 360
    rows = {part.tobytes() for one in (*case().parts, *case().slices) for part in one.x}
    assert sum(row.tobytes() in rows for row in case().test.x) <= 2  # digits holds a few twice
    labels = [set(part.y.tolist()) for part in case().parts]
    assert [len(one) for one in labels] == [5] * 4
    assert all(sum(label in one for one in labels) == 2 for label in range(10))


def test_too_many_rounds_for_the_records_are_refused():
    with pytest.raises(DataError, match="100 rounds"):
        drafts.split(sources.digits(0), 100, 0)


def test_the_draft_has_no_privacy_only_without_epsilon():
    source = sources.digits(0)
    assert drafts.draft(source)["privacy"]["epsilon"] == drafts.EPSILON
    assert drafts.draft(source, 3, 20, None)["privacy"] == {"mode": "none"}
    assert drafts.draft(source, 3, 20, None)["rounds"] == 20


@pytest.mark.slow
def test_results_are_written_with_seeds_and_targets(tmp_path):
    result = measure([SEED], noise_seed=1, further=False)
    write(result, tmp_path / "results" / "digits.json")
    read = json.loads((tmp_path / "results" / "digits.json").read_text())
    assert read["honest"][0]["seed"] == SEED
    assert read["honest"][0]["noise_seed"] == 1 + SEED
    assert set(read["poison"]) == set(POISONS)
    assert read["targets"]["mean accuracy"]["at_least"] == 0.88


def test_the_published_results_meet_every_target():
    path = Path(__file__).parents[2] / "docs" / "results" / "digits.json"
    published = json.loads(path.read_text())
    assert [run["seed"] for run in published["honest"]] == list(digits.REPORTED_SEEDS)
    assert all(target["met"] for target in published["targets"].values())
