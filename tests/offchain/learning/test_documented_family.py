"""The family that docs/families.md adds, taken from there and used."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from fedpact.data.dataset import Dataset
from fedpact.learning.checks import check_published
from fedpact.learning.families import FAMILIES, family
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.noise import SeededNoise
from tests.support.specifications import SOUND, specification

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "families.md"
EPOCHS = {"epochs": 20, "batch_size": 16, "learning_rate": 0.3}
STEPS = {"steps": 40, "learning_rate": 0.5}


@pytest.fixture(autouse=True)
def _documented(tmp_path, monkeypatch):
    code, line = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (tmp_path / "quadratic.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    name, path = re.findall(r'"([^"]+)"', line)
    monkeypatch.setitem(FAMILIES, name, path)
    yield
    sys.modules.pop("quadratic", None)


@pytest.mark.parametrize(
    ("local", "privacy"),
    [(EPOCHS, {"mode": "none"}), (STEPS, {**SOUND, "noise_multiplier": 0.5})],
    ids=["epochs", "sound"],
)
def test_the_documented_family_trains_with_and_without_privacy(local, privacy):
    spec = specification(
        family={"name": "quadratic"}, labels=["inside", "outside"], local=local, privacy=privacy
    )
    check_published(spec)
    x = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    data = Dataset(x, ((x**2).sum(axis=1) > 1.4).astype(np.int64), ())
    start = family("quadratic").initial(spec, seed=0)
    found = train_local(
        LocalTraining(spec, start, data, noise=SeededNoise(1), round_and_seat=(1, 0))
    )
    assert family("quadratic").error(spec, found, data.x, data.y) < 1000
    assert family("quadratic").error(spec, start, data.x, data.y) > 2000
