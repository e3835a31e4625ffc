"""The global model that round 1 starts from: new, or one that the requester continues with.

Everybody can read a request's first model: the providers need it before they know who takes part.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from fedpact.content.store import ContentStore
from fedpact.errors import ModelError, SpecificationError
from fedpact.requester import model_file
from fedpact.types.cid import Cid
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.learning.artefact import Model, Template
    from fedpact.requester.draft import Draft

_ALIKE = ("features", "labels", "output", "family")
"""Fields in which a fetched model's request and the one that continues it must agree: weights of
other inputs or classes could have the same shape."""

log = logging.getLogger(__name__)


def first_model(draft: "Draft", spec: Specification, store: ContentStore | None) -> "Model":
    """The model that the draft's `initial_model` names, or the family's first one by its `seed`.

    `store`: where a model named by its CID is.
    Raises SpecificationError for a model that does not fit the rest of the draft or cannot be read,
    or a family that builds its model from scratch, and what the store raises.
    """
    from fedpact.learning.families import ConstructedFamily, family_of

    family, named = family_of(spec), draft.initial_model
    if named is None:
        return family.initial(spec, draft.seed)
    if "seed" in draft.fields:
        raise SpecificationError("draft: initial_model and seed exclude each other: leave one out")
    if isinstance(family, ConstructedFamily):
        raise SpecificationError(
            f"draft: family {family.name} builds its model from scratch and cannot "
            "continue one: leave initial_model out"
        )
    template = family.template(spec)
    model = _fitting(named, _bytes(named, spec, template, store), template)
    log.warning("initial_model %s: everybody who sees the request can read its first model", named)
    return model


def _fitting(named: str, data: bytes, template: "Template") -> "Model":
    from fedpact.learning.artefact import decode

    try:
        return decode(data, template)
    except ModelError as error:
        raise SpecificationError(
            f"draft: initial_model {named} does not fit the draft's family, features and "
            f"labels: {error}"
        ) from error


def _bytes(
    named: str, spec: Specification, template: "Template", store: ContentStore | None
) -> bytes:
    if Cid.names(named):
        if store is None:
            raise SpecificationError(
                f"draft: initial_model {named}: a CID needs a content store, name a file"
            )
        return store.get(Cid.parse(named), template.bytes)
    path = Path(named)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SpecificationError(f"draft: initial_model {path}: {error.strerror}") from error
    if model_file.facts_path(path).exists():
        if model_file.is_personal(path):
            raise SpecificationError(
                f"draft: initial_model {path} is a personal model: it was trained on records"
                " without privacy, and everybody could read it"
            )
        before = model_file.specification(path)
        for name in _ALIKE:
            if getattr(before, name) != getattr(spec, name):
                raise SpecificationError(
                    f"draft: initial_model {path} was learnt with other {name}: the draft must "
                    f"have the same {', '.join(_ALIKE)}"
                )
    return data
