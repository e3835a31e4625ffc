"""Flower apps as if pip had installed them."""

import os
import shutil
from pathlib import Path

import pytest

from fedpact.learning.families.packages import package_of_app

OURS = Path(__file__).parents[2] / "examples" / "flower"
QUICKSTARTS = os.environ.get("FLOWER_EXAMPLES")
"""The folder `examples` of a checkout of github.com/adap/flower."""
NUMPY_RUN = (
    "local-steps = 20, learning-rate = 0.5, features = 64, labels = 10, num-server-rounds = 1"
)


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
