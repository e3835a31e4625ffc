"""Flower apps as if pip had installed them, data for them, and daemons that serve them."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

from fedpact.data.dataset import Dataset
from fedpact.data.schema_draft import as_toml, propose
from fedpact.learning.packages import package_of_app
from fedpact.types.schema import schema_file
from tests.support.world import World

OURS = Path(__file__).parents[2] / "examples" / "flower"
QUICKSTARTS = os.environ.get("FLOWER_EXAMPLES")
"""The folder `examples` of a checkout of github.com/adap/flower."""
NUMPY_RUN = (
    "local-steps = 20, learning-rate = 0.5, features = 64, labels = 10, num-server-rounds = 1"
)

WINDOWS = dict.fromkeys(("join", "start", "submit", "commit", "reveal", "propose", "deliver"), 900)
POLICY = """categories = ["flower"]
families = ["flower:{app}"]
accept_without_privacy = true
epsilon_per_request = 8.1
epsilon_per_requester = 100.0
epsilon_lifetime = 20.0
submit_after = 0.0
min_samples = 20
"""
FIELDS: dict[str, Any] = {
    "title": "Flower",
    "category": "test",
    "labels": ["no", "yes"],
    "features": {"shape": [3]},
    "local": {"groups": 1, "seconds": 10},
    "privacy": {"mode": "none"},
    "min_providers": 2,
    "max_providers": 3,
    "score": "model",
    "max_error": 9000,
}
"""Of a draft, all but its family and rounds."""
IRISES = ("petal_length", "petal_width", "sepal_length", "sepal_width")
SPECIES = ("setosa", "versicolor", "virginica")


def quickstart(name: str, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """As `installed`: one of Flower's own apps, or the test is skipped."""
    pytest.importorskip("datasets")
    if QUICKSTARTS is None:
        pytest.skip("needs the examples of github.com/adap/flower in FLOWER_EXAMPLES")
    return installed(name, "1.0.1", folder, patch, Path(QUICKSTARTS))


def installed(
    name: str, version: str, folder: Path, patch: pytest.MonkeyPatch, apps: Path = OURS
) -> Path:
    """A folder with the app's package and what pip writes beside it, on the path of this process
    and of those that it starts."""
    pytest.importorskip("flwr", reason="the extra fedpact[flower] is not installed")
    code = next(one.parent for one in (apps / name).glob("*/__init__.py"))
    folder.mkdir(exist_ok=True)
    shutil.copytree(code, folder / code.name)
    told = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (told / "top_level.txt").write_text(f"{code.name}\n")
    patch.syspath_prepend(folder)
    patch.setenv("PYTHONPATH", str(folder), prepend=":")
    package_of_app.cache_clear()
    return folder


def torchvision_stand_in(folder: Path) -> None:
    """Three transforms of torchvision, where it cannot be loaded: PyPI's build of it needs that
    of torch with CUDA."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        package = folder / "torchvision"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "transforms.py").write_text(_TRANSFORMS)


_TRANSFORMS = """
import numpy as np
import torch


class Compose:
    def __init__(self, steps):
        self.steps = steps

    def __call__(self, image):
        for step in self.steps:
            image = step(image)
        return image


class ToTensor:
    def __call__(self, image):
        return torch.tensor(np.asarray(image, np.float32) / 255).permute(2, 0, 1)


class Normalize:
    def __init__(self, mean, std):
        self.mean, self.std = (torch.tensor(one)[:, None, None] for one in (mean, std))

    def __call__(self, image):
        return (image - self.mean) / self.std
"""


def serve_app(world: World, app: str) -> None:
    """Two daemons whose policies list the app, each with a file of its own (`given`)."""
    for number in range(2):
        policy = world.policy_file(number)
        policy.write_text(POLICY.format(app=app))
        world.network.start_daemon(
            f"provider-{number + 1}", world.data.files[number], policy, 0.05, None
        )
    world.network.wait_until_serving()


def given(world: World, fields: dict[str, Any], files: list[Path], evaluation: Dataset) -> None:
    world.data = replace(world.data, files=tuple(files), evaluation=evaluation)
    for path in files:
        proposed = propose(path, "flower", unit="record")
        changed = proposed.model_copy(update={"labels": tuple(fields["labels"])})
        schema_file(path).write_text(as_toml(changed))


def digits() -> tuple[np.ndarray, np.ndarray]:
    bunch = load_digits()
    return bunch.data.astype(np.float32), bunch.target.astype(np.int64)


def irises() -> tuple[np.ndarray, np.ndarray]:
    bunch = load_iris()
    order = np.random.default_rng(0).permutation(150)
    x = bunch.data[:, [2, 3, 0, 1]].astype(np.float32)
    return x[order], bunch.target[order].astype(np.int64)


def iris_files(folder: Path, x: np.ndarray, y: np.ndarray) -> list[Path]:
    """Of two providers, each with 50 of the irises after the first 50."""
    files = [folder / f"irises-{number}.csv" for number in range(2)]
    for path, rows in zip(files, (range(50, 100), range(100, 150)), strict=True):
        lines = [",".join((*IRISES, "label"))]
        lines += [",".join((*map(str, x[row]), SPECIES[y[row]])) for row in rows]
        path.write_text("\n".join(lines) + "\n")
    return files
