"""A study for tests: gradient descent on a least squares problem, round by round.

Settings that only tests give: `fail` and `bug` raise, `die` ends the process after that round,
`absent` says that data are missing, `pause` waits in each round.
"""

import os
import time
from typing import Any

import numpy as np

from fedpact.errors import DataMissing, ModelError
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case

UNKNOWNS = 4


def run(case: Case, checkpoint: Checkpoint) -> dict[str, Any]:
    settings = case.settings
    if "absent" in settings:
        raise DataMissing("little: no such data")
    if "fail" in settings:
        raise ModelError("little: failed as asked")
    if "bug" in settings:
        raise RuntimeError("little: a bug")
    generator = np.random.default_rng(case.seed)
    rows, right = generator.normal(size=(20, UNKNOWNS)), generator.normal(size=20)
    state = np.frombuffer(checkpoint.state or b"", dtype=np.float64)
    weights, curve = np.zeros(UNKNOWNS), []
    if len(state):
        weights, curve = state[:UNKNOWNS].copy(), state[UNKNOWNS:].tolist()
    resumed_at = len(curve)

    def kept() -> bytes:
        return np.concatenate([weights, curve]).tobytes()

    while len(curve) < settings["rounds"]:
        weights -= 0.01 * rows.T @ (rows @ weights - right)
        curve.append(1 / (1 + float(((rows @ weights - right) ** 2).mean())))
        checkpoint.reached(len(curve), settings["rounds"], kept)
        if settings.get("die") == len(curve) and not resumed_at:
            os._exit(7)
        time.sleep(settings.get("pause", 0))
    return {
        "metrics": {"global_accuracy": curve[-1]},
        "curves": {"global_accuracy": curve},
        "details": {"resumed_at": resumed_at},
    }


TOML = """
title = "A little study"
kind = "tests.lab.little_study:run"
dataset = "digits"
partitions = ["class5"]
metrics = ["global_accuracy"]
curves = ["global_accuracy"]

[settings]
rounds = 3

[methods.plain]

[scales.small]
providers = 1
seeds = 2
"""
