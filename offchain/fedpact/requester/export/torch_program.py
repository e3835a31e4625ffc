"""A fetched model as a program of torch.export."""

from pathlib import Path
from typing import Any

from fedpact.errors import InvalidInput, ModelError
from fedpact.learning.artefact import Model as Weights
from fedpact.learning.families import family_of, gradient_family_of
from fedpact.learning.families.dense import DenseFamily
from fedpact.types.specification import Specification

EXAMPLES = 2
"""In the example of the trace; any number may be given later."""


def write_program(path: Path, spec: Specification, weights: Weights) -> None:
    """Write what `Model.to_torch` describes. Raises ModelError for a family that is more than a
    torch network, InvalidInput if the file cannot be written."""
    family: Any = family_of(spec)
    if not isinstance(family, DenseFamily):
        from fedpact.learning.families.torch_family import TorchFamily

        if not isinstance(family, TorchFamily):
            raise ModelError(f"family {spec.family.name} is not a torch network")
    import torch

    module = gradient_family_of(spec).loaded(spec, weights).eval()
    for one in module.parameters():
        one.requires_grad_(False)
    example = torch.zeros((EXAMPLES, *spec.features.shape), dtype=torch.float32)
    count = torch.export.Dim("n", min=1)
    program = torch.export.export(module, (example,), dynamic_shapes=({0: count},))
    try:
        with path.open("wb") as file:
            torch.export.save(program, file)
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from error
