"""What a draft says of a Flower app, and what the app's own ServerApp adds to it."""

import json
from functools import lru_cache
from typing import Annotated

from pydantic import Field, ValidationError

from fedpact.errors import InvalidInput, ModelError, SpecificationError, TrainingFailed
from fedpact.learning.artefact import MAX_WEIGHT, decode
from fedpact.learning.flower.app_host import host_of
from fedpact.learning.flower.jobs import (
    App,
    AppFailed,
    Describe,
    ServerStart,
    arrays_of,
    arrays_text,
    template_of,
)
from fedpact.learning.packages import package_of_app
from fedpact.types.document import Document
from fedpact.types.local_training import START_SECONDS
from fedpact.types.validation import every_error

EntryPoint = Annotated[
    str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,200}:[A-Za-z_][A-Za-z0-9_]*$")
]
Settings = Annotated[str, Field(max_length=16_384)]
"""To read TOML takes time with the square of a key's length: 240,000 characters take minutes."""
Column = Annotated[str, Field(min_length=1, max_length=100)]


class FlowerParameters(Document):
    """Where the app is, what it starts from, and where it looks for data."""

    app: EntryPoint
    """Its ClientApp, `package.client_app:app`."""
    server: EntryPoint | None = None
    """Its ServerApp, of which the requester takes the first arrays and the settings of training;
    None: the draft has `arrays` and an `initial_model`."""
    run_config: Settings = ""
    """Its settings (`[tool.flwr.app.config]`), as in `lr = 0.1, penalty = "l2"`."""
    train_config: Settings = ""
    """Settings that a message of training has, likewise. By default what the ServerApp says."""
    arrays: str = ""
    """Names, types and shapes of its arrays, in the app's order, as JSON. By default what the
    ServerApp says."""
    inputs: Column = "image"
    """Name of the column in which the app looks for arrays; of a table the names are its own."""
    pictures: Annotated[int, Field(ge=0, le=1)] = 0
    """1: that column holds pictures (PIL) of values from 0 to 255."""
    label: Column = "label"
    """Name of the column in which the app looks for labels (numbers from 0)."""
    measure: Annotated[str, Field(min_length=1, max_length=100)] = "accuracy"
    """The app's metric by which models are judged: from 0 to 1, more is better."""


def completed(parameters: dict[str, object], seed: int) -> dict[str, object]:
    """A draft's parameters with what the ServerApp says: its arrays, and the settings of training.

    Raises SpecificationError where the app cannot be asked.
    """
    if "arrays" in parameters:
        return parameters
    try:
        given = FlowerParameters.model_validate(parameters)
    except ValidationError as error:
        raise SpecificationError(f"family flower: {every_error(error)}") from error
    app = App(given.app, given.run_config, package_of_app(given.app))
    found = described(given.server, app, seed)
    config = {} if "train_config" in parameters else {"train_config": found.train_config}
    return {**parameters, **config, "arrays": arrays_text(found.arrays)}


@lru_cache(maxsize=16)
def described(server: str | None, app: App, seed: int) -> ServerStart:
    """What an app's ServerApp starts from; it is asked once. Raises SpecificationError."""
    if server is None:
        raise SpecificationError(
            "family flower: name family.parameters.server, the app's ServerApp, or give arrays and "
            "an initial_model"
        )
    try:
        answer = host_of(app).ask(Describe(server, seed, START_SECONDS))
    except (AppFailed, TrainingFailed) as failure:
        raise SpecificationError(f"family flower: {failure}") from failure
    header, _, encoded = answer.partition(b"\n")
    said = json.loads(header)
    try:
        arrays = arrays_of(said["arrays"])
        model = decode(encoded, template_of(arrays, MAX_WEIGHT))
    except (InvalidInput, ModelError) as error:
        raise SpecificationError(f"family flower: the ServerApp's first arrays: {error}") from error
    return ServerStart(arrays, said["train_config"], model)
