"""A package with a model family of one's own, to begin from."""

from pathlib import Path

from fedpact.errors import InvalidInput
from fedpact.learning.families import FAMILIES
from fedpact.learning.packages import GROUP, NAME

PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "fedpact-{name}"
version = "0.1.0"
description = "A model family for fedpact"
requires-python = ">=3.11"
dependencies = ["fedpact"]

[project.entry-points."{group}"]
{name} = "{module}:{cls}"

[tool.setuptools]
packages = ["{module}"]
"""
CODE = '''\
"""The model family {name} for fedpact."""

import math
from typing import Annotated

import torch
from fedpact import Document, Specification, TorchFamily
from pydantic import Field
from torch import nn


class {cls}Parameters(Document):
    """What a draft may say in `family.parameters`."""

    hidden: Annotated[int, Field(ge=1, le=1024)] = 16
    """Width of the hidden layer."""


class {cls}(TorchFamily[{cls}Parameters]):
    """Write the network in `module`; fedpact trains, clips, noises, judges and combines it."""

    name = "{name}"
    tasks = frozenset({{"classification", "regression"}})
    unit = "a record: one row of a table or one example of an array"
    sound = True  # no layer that mixes examples, draws at random or keeps state
    schema = {cls}Parameters

    def module(self, spec: Specification) -> nn.Module:
        inputs = math.prod(spec.features.shape)
        return Network(inputs, self.parameters(spec).hidden, spec.outputs)


class Network(nn.Module):
    """Takes examples of shape (n, *shape), gives (n, outputs): logits, or values."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(inputs, hidden)
        self.output = nn.Linear(hidden, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.output(torch.tanh(self.hidden(x.flatten(1))))
        return found
'''
DRAFT = """\
# Asks for the family; `fedpact family check draft.toml` tries it with this shape.
title = "A trial of {name}"
category = "trial"
labels = ["a", "b"]
rounds = 5
min_providers = 3
max_providers = 3
score = "contribution"
max_error = 5000
features = {{ shape = [8] }}
family = {{ name = "{name}", parameters = {{ hidden = 16 }} }}
local = {{ steps = 4, learning_rate = 0.5 }}
privacy = {{ mode = "sound", epsilon = 4.0, delta = 1e-5, clipping_norm = 1.0 }}
"""
TEST = '''\
"""Run with `pytest` once the package is installed (`pip install -e .`)."""

from pathlib import Path

from fedpact import Draft, check_family

DRAFT = Path(__file__).parents[1] / "draft.toml"


def test_the_family_keeps_what_it_promises() -> None:
    found = check_family(Draft.read(DRAFT).specification)
    assert [one for one in found if not one.passed] == []
'''
README = """\
# fedpact-{name}

A model family for fedpact. Install it at every party of a request:
requester, providers, auditors.

    pip install -e .
    fedpact family check draft.toml
    pytest

A request asks for it by `family = {{ name = "{name}" }}`; the specification then names this
package, its version and a digest of its files. Providers serve it once their policy's `families`
lists `"{name}"`, or that digest (`fedpact family list`).
"""


def write_package(name: str, folder: Path) -> list[Path]:
    """Write a package whose family passes its tests; the files.

    Raises InvalidInput for a name that cannot be used, or a folder that exists.
    """
    if not NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} is not a valid family name: lower-case letters, digits and hyphens, a letter"
            " first"
        )
    if name in FAMILIES:
        raise InvalidInput(f"fedpact has a family {name!r}: choose another name")
    if folder.exists():
        raise InvalidInput(f"{folder} exists: choose another folder, or delete it")
    words = {
        "name": name,
        "module": "fedpact_" + name.replace("-", "_"),
        "cls": "".join(part.capitalize() for part in name.split("-")),
        "group": GROUP,
    }
    files = {
        "pyproject.toml": PROJECT,
        "README.md": README,
        "draft.toml": DRAFT,
        "tests/test_family.py": TEST,
        f"{words['module']}/__init__.py": CODE,
    }
    written = []
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text if text is TEST else text.format(**words), encoding="utf-8")
        written.append(target)
    return written
