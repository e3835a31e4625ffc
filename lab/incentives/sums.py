"""What a member earns under secure sums that masks noise alone, where nobody sees an update."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.consensus.aggregate import global_model
from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.consensus.group_scoring import score_groups
from fedpact.consensus.groups import groups
from fedpact.consensus.round_inputs import RoundInputs
from fedpact.demo.drafts import EPSILON
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of
from fedpact.learning.strategies import Globals
from fedpact.learning.summed_release import group_model, member_integers
from fedpact.learning.training_inputs import LocalTraining
from fedpact.simulation.request import noise
from fedpact.types.scores import MAX_SCORE
from lab.committees.data import CommitteeData, CommitteeSize, committee_data

RIDER = 0
"""The member that masks noise alone, or trains as the others do."""
GROUP, HONEST, COLLUDERS = 4, 3, 1
LENGTHS = (5, 10, 20)
"""Rounds after which the pay is looked at."""
SIZE = CommitteeSize(
    providers=8,
    examples_each=75,
    rounds=max(LENGTHS),
    slice_examples=40,
    test_examples=360,
    family={"name": "softmax-regression", "parameters": {"example_norm": 3.0}},
    local={"steps": 1, "learning_rate": 8.0},
    epsilon=EPSILON,
    privacy={"sum": "secure", "group": GROUP, "honest": HONEST, "colluders": COLLUDERS},
)


@dataclass(frozen=True)
class Played:
    """One request, without votes: all members compute the same scores."""

    pay: NDArray[np.float64]
    """(rounds,): the quality points of RIDER, in shares of an equal part of the round's."""
    error: int
    """Of the last global model on the test set, 1/10,000."""


def measure(seeds: Sequence[int], size: CommitteeSize = SIZE) -> list[dict[str, Any]]:
    """A row for each way that RIDER acts in, and each length: mean pay over the rounds up to it and
    its standard deviation over the seeds; the error is that after all rounds."""
    rows = []
    for way, rides in (("trains", False), ("masks noise alone", True)):
        found = [play(committee_data("digits", "iid", one, size), rides=rides) for one in seeds]
        for length in [one for one in LENGTHS if one <= size.rounds]:
            pay = [float(one.pay[:length].mean()) for one in found]
            rows.append(
                {
                    "member": way,
                    "rounds": length,
                    "pay": round(float(np.mean(pay)), 3),
                    "spread": round(float(np.std(pay)), 3),
                    "error": round(float(np.mean([one.error for one in found]))),
                }
            )
    return rows


def play(case: CommitteeData, *, rides: bool) -> Played:
    """The sums are added in the clear: the masks cancel (tests/offchain/privacy/secure_sum)."""
    spec, parts = case.spec, list(case.parts)
    if rides:  # no label is valid, so every example counts as zero
        parts[RIDER] = replace(parts[RIDER], y=np.full_like(parts[RIDER].y, -1))
    family, record, pay = family_of(spec), ContributionRecord(), []
    start = initial = family.initial(spec, case.seed)
    samples = {seat: len(part) for seat, part in enumerate(parts)}
    for number in range(1, spec.rounds + 1):
        drawn = groups(sha256(f"{case.seed} {number}".encode()).digest(), len(parts), GROUP)
        models, sums = dict[int, Model](), dict[int, tuple[int, ...]]()
        for members in drawn:
            total = np.zeros(1, dtype=np.int64)
            for seat in members:
                drawing = noise(case.seed, seat, number)
                at = (number, seat)
                training = LocalTraining(spec, start, parts[seat], noise=drawing, round_and_seat=at)
                total = total + member_integers(training)
            model = group_model(spec, number, start, total, [samples[one] for one in members])
            models.update(dict.fromkeys(members, model))
            sums.update(dict.fromkeys(members, members))
        part = case.slices[number - 1]
        inputs = RoundInputs(spec, number, start, models, samples, part, sums=sums)
        scores, record = score_groups(inputs, record)
        pay.append(_share(scores, spec.max_error))
        kept = [seat for seat in scores if scores[seat] <= spec.max_error]
        kept = kept or [seat for seat in scores if scores[seat] <= MAX_SCORE]
        start = global_model(spec, number, Globals(initial, start, None), models, samples, kept)
    return Played(np.array(pay), family.error(spec, start, case.test.x, case.test.y))


def _share(scores: dict[int, int], ceiling: int) -> float:
    below = {seat: max(0, ceiling - score) for seat, score in scores.items()}
    total = sum(below.values())
    return len(below) * below[RIDER] / total if total else 1.0
