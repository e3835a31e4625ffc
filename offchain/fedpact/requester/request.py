"""A request from a draft: slices sealed, first model made, noise calibrated, specification fixed.

The draft is a specification without what follows from the rest: `evaluation`, `initial_model`,
`queries`, and under privacy mode `sound` the noise: `privacy.noise_multiplier` and, where the
family gathers statistics, `privacy.statistics_multiplier`; an amount of money may be written as on
the command line (`reuse.price = "0.1 ether"`). A draft and an evaluation set give the same bytes
each time, so that a broken creation is continued rather than repeated.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedpact.errors import InvalidInput, SpecificationError
from fedpact.requester.amount import parse_amount
from fedpact.requester.slices import SealedSlice, cut, seal_slices
from fedpact.types.cid import Cid
from fedpact.types.rounds import Terms
from fedpact.types.specification import (
    SPECIFICATION_VERSION,
    EvaluationSlice,
    PrivacyMode,
    Specification,
    canonical_json,
)

if TYPE_CHECKING:
    from fedpact.chain.keystore import AccountKeys
    from fedpact.data.dataset import Dataset
    from fedpact.retrieval.record import RetrievalRecord

DERIVED_FIELDS = ("version", "evaluation", "initial_model", "queries")
DEFAULT_WINDOWS = {
    "join": 600,
    "start": 60,
    "submit": 600,
    "commit": 120,
    "reveal": 60,
    "propose": 60,
    "deliver": 120,
}
"""Seconds; a stage ends early once all have acted, so these only bound the wait for the silent."""


@dataclass(frozen=True)
class PreparedRequest:
    """Everything that goes into the content store before the request goes on chain."""

    specification: Specification
    initial_model: bytes
    slices: tuple[SealedSlice, ...]

    @property
    def terms(self) -> Terms:
        """What goes on chain."""
        cids = Cid.of(self.specification.encode()), Cid.of(self.initial_model)
        return self.specification.terms(*(cid.digest for cid in cids))

    @property
    def contents(self) -> tuple[bytes, ...]:
        """The bytes to store; the specification last, when all that it names is there."""
        sealed = (part.ciphertext for part in self.slices)
        return (self.initial_model, *sealed, self.specification.encode())


def read_draft(path: Path) -> dict[str, Any]:
    """The draft in a TOML or JSON file (by its ending).

    Raises SpecificationError for a file that cannot be read or holds a derived field.
    """
    try:
        text = path.read_text(encoding="utf-8")
        fields = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise SpecificationError(f"draft {path}: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecificationError(f"draft {path}: {error}") from error
    if not isinstance(fields, dict):
        raise SpecificationError(f"draft {path}: a table of fields is needed")
    return fields


def invitation(
    draft: Mapping[str, Any], retrieval: "RetrievalRecord", fingerprint: bytes
) -> dict[str, Any]:
    """The draft with those invited whom a search found.

    Raises SpecificationError where the draft invites others, InvalidInput for a search of another
    deployment (`fingerprint`: of this one), or one that found nobody.
    """
    if "invited" in draft:
        raise SpecificationError("draft: it names who is invited, and so does the search")
    if retrieval.deployment != fingerprint.hex():
        raise InvalidInput("the search was made in another deployment: search again")
    if not retrieval.found:
        raise InvalidInput("the search found nobody to invite")
    return {**draft, "invited": list(retrieval.accounts)}


def draft_specification(fields: Mapping[str, Any]) -> tuple[Specification, int]:
    """The specification that a draft asks for, slices and first model still blank, and its seed.

    Raises SpecificationError where the schema refuses the draft, or family, strategy or rule cannot
    do what it asks; PrivacyError where no noise meets its epsilon.
    """
    given = dict(fields)
    for name in DERIVED_FIELDS:
        if name in given:
            raise SpecificationError(f"draft: {name} is filled in by `request create`")
    seed = given.pop("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise SpecificationError(f"draft: seed: a whole number from 0 is needed, not {seed!r}")
    windows = given.get("windows", {})
    if isinstance(windows, Mapping):
        given["windows"] = {**DEFAULT_WINDOWS, **windows}

    reuse = given.get("reuse")
    if isinstance(reuse, Mapping) and isinstance(reuse.get("price"), str):
        given["reuse"] = {**reuse, "price": parse_amount(reuse["price"])}

    rounds = given.get("rounds")
    slices = rounds if isinstance(rounds, int) and 0 < rounds <= 1000 else 1
    blank = {"cid": "", "sha256": "", "examples": 1}
    given |= {"version": SPECIFICATION_VERSION, "initial_model": "", "evaluation": [blank] * slices}
    spec = _parse(_calibrated(given))
    from fedpact.learning.checks import check_published

    check_published(spec)
    return spec, seed


def prepare(
    fields: Mapping[str, Any],
    evaluation: "Dataset",
    keys: "AccountKeys",
    *,
    queries: bytes | None = None,
) -> PreparedRequest:
    """Cut and seal the evaluation set, make the first model, and fix the specification.

    `queries`: the file that the model is to answer, of which only the digest is published.
    Raises what `draft_specification` raises, and DataError where the set has too few examples
    of a label for one in each slice, or an example that the family cannot take.
    """
    from fedpact.learning import artefact, families

    draft, seed = draft_specification(fields)
    family = families.family_of(draft)
    family.check_examples(draft, evaluation.x)
    initial = artefact.encode(family.initial(draft, seed))
    sealed = seal_slices(cut(draft, evaluation, keys), keys)
    listed = tuple(
        EvaluationSlice(cid=str(part.cid), sha256=part.sha256, examples=part.examples)
        for part in sealed
    )
    specification = draft.model_copy(
        update={
            "evaluation": listed,
            "initial_model": str(Cid.of(initial)),
            "queries": sha256(queries).hexdigest() if queries is not None else None,
        }
    )
    # Decoding once more holds the finished document against its own schema and size limit.
    return PreparedRequest(Specification.decode(specification.encode()), initial, sealed)


def _calibrated(given: dict[str, Any]) -> dict[str, Any]:
    """With the smallest noise that keeps all releases of one provider within epsilon."""
    privacy = given.get("privacy")
    if (
        not isinstance(privacy, Mapping)
        or privacy.get("mode") != PrivacyMode.SOUND
        or "noise_multiplier" in privacy
    ):
        return given
    # A placeholder first: the schema should complain about the draft before the accountant does.
    checked = _parse({**given, "privacy": {**privacy, "noise_multiplier": 1.0}})
    from fedpact.learning.calibration import noise_for

    return {**given, "privacy": {**privacy, **noise_for(checked)}}


def _parse(fields: Mapping[str, Any]) -> Specification:
    try:
        return Specification.decode(canonical_json(fields))
    except (TypeError, ValueError) as error:
        raise SpecificationError(f"draft: {error}") from error
