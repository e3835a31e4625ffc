"""A draft: what a requester asks for, before its evaluation set is sealed.

A draft is a specification without the fields that follow from the rest: `version`, `evaluation`,
`queries` and, under privacy mode `sound`, the noise (`privacy.noise_multiplier` and, for families
that gather statistics first, `privacy.statistics_multiplier`). It may name the first model, by
`initial_model` (a file or a CID) or by the `seed` that it is drawn with, leave out windows, and
give `resale.price` as an amount of money such as "0.1 ether". Its table `terms` is read by
`fedpact.requester.terms`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from fedpact.errors import InvalidInput, SpecificationError, UnknownName
from fedpact.requester.amount import parse_amount
from fedpact.types.cid import Cid
from fedpact.types.document import canonical_json
from fedpact.types.files import read_json, read_toml
from fedpact.types.local_training import LocalApp
from fedpact.types.parts import ordered, shape_of
from fedpact.types.paths import path_of
from fedpact.types.privacy import PrivacyMode
from fedpact.types.schema import DataSchema
from fedpact.types.series import SeriesWindows
from fedpact.types.specification import SPECIFICATION_VERSION, Specification
from fedpact.types.validation import every_error

if TYPE_CHECKING:
    from fedpact.data.dataset import Targets
    from fedpact.data.readers.table import Table
    from fedpact.retrieval.search_record import RetrievalRecord

TERMS = "terms"
"""A table of what only the chain knows: fedpact.requester.terms."""
DERIVED_FIELDS = ("version", "evaluation", "queries")
"""Fields of a specification that no draft may set."""
FIRST_MODEL = ("seed", "initial_model")
"""Fields of a draft that name the first model; the specification has its CID."""
DEFAULT_WINDOWS = {
    "join": 600,
    "start": 60,
    "submit": 600,
    "commit": 120,
    "reveal": 60,
    "propose": 60,
    "deliver": 120,
}
"""Seconds. A stage ends early once everyone has acted, so these only limit the wait for members
that are silent."""
WITH_PRIORS = ("oblivious-trees", "generalised-linear")
"""Families whose parameters have priors."""
_BLANK_SLICE = {"cid": "", "sha256": "", "examples": 1}


@dataclass(frozen=True)
class Draft:
    """A requester's draft. The specification is checked and calibrated once, on first use."""

    fields: Mapping[str, Any]
    """As the requester wrote them."""
    on_chain: bool = True
    """False for simulations, which may use a strategy whose state nobody publishes."""

    @classmethod
    def read(cls, path: Path | str) -> "Draft":
        """The draft in a TOML file, or in a JSON file if the name ends in `.json`.

        Raises SpecificationError for a file that cannot be read or parsed, InvalidInput for
        anything but a path.
        """
        path = path_of("draft", path)
        read = read_json if path.suffix == ".json" else read_toml
        fields = read(path, "draft", SpecificationError)
        if not isinstance(fields, dict):
            raise SpecificationError(f"draft {path}: must be a table of fields")
        return cls(_beside(path, _with_schema(path, fields)))

    @classmethod
    def proposed(cls, schema: DataSchema, epsilon: float, **fields: Any) -> "Draft":
        """A draft for data of a schema: family, training, rounds and noise as the project's own
        measurements suggest (`requester.proposal`).

        `epsilon` holds for each provider's privacy unit over all rounds, at delta 1e-5. `fields`
        replace those of the draft; `output`: the column whose number is to be predicted, in place
        of the schema's labels. Raises SpecificationError for a schema that has neither,
        InvalidInput for what is no schema.
        """
        from fedpact.requester.draft_defaults import proposal

        if not isinstance(schema, DataSchema):
            raise InvalidInput(f"schema: DataSchema.read reads one from a file, not {schema!r}")
        given = _plain(fields)
        return cls({**proposal(schema, epsilon, given.pop("output", None)), **given})

    @cached_property
    def specification(self) -> Specification:
        """The specification that the draft asks for. Evaluation slices, first model and queries
        are blank; the noise is the least that keeps all releases of one provider within epsilon.

        Raises SpecificationError where the schema rejects the draft or the family, strategy or
        aggregation rule cannot do what it asks, and PrivacyError where no noise meets its epsilon.
        """
        given = self._completed()
        # The schema reports its complaints before the accountant starts.
        unknown = _unknown(given)
        try:
            spec = _parse({**given, "privacy": _with_placeholder(given.get("privacy"))})
        except SpecificationError as error:
            raise SpecificationError("; ".join([str(error), *unknown])) from error
        if len(unknown) > 1:
            raise SpecificationError("; ".join(unknown))
        if _lacks_noise(given.get("privacy")):
            from fedpact.learning.calibration import noise_for

            spec = _parse({**given, "privacy": {**given["privacy"], **noise_for(spec)}})
        if self.on_chain:
            from fedpact.learning.checks import check_published

            check_published(spec)
        return spec

    @property
    def seed(self) -> int:
        """The random seed of the first global model; 0 unless the draft names one.

        Raises SpecificationError for anything but a non-negative integer.
        """
        seed = self.fields.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise SpecificationError(f"draft: seed must be a non-negative integer, not {seed!r}")
        return seed

    @property
    def initial_model(self) -> str | None:
        """File or CID of the model to continue with; None for a new one.

        Raises SpecificationError for anything but a text.
        """
        named = self.fields.get("initial_model")
        if named is not None and (not isinstance(named, str) or not named):
            raise SpecificationError(f"draft: initial_model must be a file or CID, not {named!r}")
        return named

    def changed(self, **fields: Any) -> "Draft":
        """A copy with some fields replaced."""
        return Draft({**self.fields, **_plain(fields)}, self.on_chain)

    def with_columns_of(self, evaluation: "Path | Table", label: str | None = None) -> "Draft":
        """A copy that names the columns of the evaluation set if that is a table and the draft
        names none: providers match columns by name, never by their order. `label`: the column of
        labels; None: `label`.

        Raises DataError for a table that cannot be read.
        """
        from fedpact.data.readers import LABEL_COLUMN, feature_names, table_features

        features, output = self.fields.get("features"), self.fields.get("output")
        if not isinstance(features, Mapping) or features.get("columns") or "table" in features:
            return self
        if isinstance(output, Mapping):
            label = str(output.get("column"))
        label = label or LABEL_COLUMN
        if isinstance(evaluation, Path):
            names = feature_names(evaluation, label)
        else:
            names = table_features(evaluation, label)
        if not names:
            return self
        return self.changed(features={**features, "columns": list(names)})

    def with_priors(self, y: "Targets") -> "Draft":
        """A copy whose first model says what is usual in the evaluation set, whose labels are `y`,
        if its family starts from priors and the draft names none. Their shares are then public,
        to a hundredth."""
        from fedpact.requester.draft_defaults import shares

        family, labels = self.fields.get("family"), self.fields.get("labels")
        if not isinstance(family, Mapping) or family.get("name") not in WITH_PRIORS or not labels:
            return self
        given = family.get("parameters", {})
        if "priors" in given:
            return self
        parameters = {**given, "priors": shares(y, len(labels))}
        return self.changed(family={**family, "parameters": parameters})

    def inviting(self, retrieval: "RetrievalRecord", fingerprint: bytes) -> "Draft":
        """A copy that invites the providers a search found.

        `fingerprint`: that of the deployment in use. Raises SpecificationError where the draft
        already invites somebody, and InvalidInput for a search that was made in another deployment
        or found nobody.
        """
        if "invited" in self.fields:
            raise SpecificationError("draft: invited is set; leave it out to invite search results")
        if retrieval.deployment != fingerprint.hex():
            raise InvalidInput("the search was made in another deployment: search again")
        if not retrieval.found:
            raise InvalidInput("the search found no provider to invite")
        return self.changed(invited=list(retrieval.accounts))

    def publishing(self, queries: Path) -> "Draft":
        """A copy that publishes the texts of a file of queries: members train on them too.

        Raises SpecificationError, DataError for a file without texts.
        """
        from fedpact.requester.queries import read_queries

        asked = self.specification
        if asked.features.kind != "text":
            raise SpecificationError("draft: only queries that are texts can be published")
        return self.changed(published_queries=read_queries(queries, asked).x.tolist())

    def _completed(self) -> dict[str, Any]:
        """The draft's fields with defaults and blanks, in the form of a specification."""
        given = {k: value for k, value in self.fields.items() if k not in (*FIRST_MODEL, TERMS)}
        for name in DERIVED_FIELDS:
            if name in given:
                raise SpecificationError(f"draft: {name} is filled in when the request is created")
        _ = self.seed, self.initial_model
        windows = given.get("windows", {})
        if isinstance(windows, Mapping):
            given["windows"] = {**DEFAULT_WINDOWS, **_windows_of_app(given), **windows}
        resale = given.get("resale")
        if isinstance(resale, Mapping) and isinstance(resale.get("price"), str):
            given["resale"] = {**resale, "price": parse_amount(resale["price"])}
        family = given.get("family")
        if isinstance(family, Mapping) and "package" not in family:
            given["family"] = {**family, **_package(family.get("name"))}
        if isinstance(family, Mapping) and family.get("name") == "flower":
            given["family"] = _flower(given["family"], self.seed)
        rounds = given.get("rounds")
        slices = rounds if isinstance(rounds, int) and 0 < rounds <= 1000 else 1
        return given | {
            "version": SPECIFICATION_VERSION,
            "initial_model": "",
            "evaluation": [_BLANK_SLICE] * slices,
        }


def _beside(path: Path, fields: dict[str, Any]) -> dict[str, Any]:
    """With the name of an `initial_model` file, which is relative to the draft."""
    named = fields.get("initial_model")
    if not isinstance(named, str) or not named or Cid.names(named):
        return fields
    return {**fields, "initial_model": str(path.parent / named)}


def _with_schema(path: Path, fields: dict[str, Any]) -> dict[str, Any]:
    """With the columns of the file that `features.schema` names, as they are declared there: all
    inputs but the output, or those that `features.columns` lists."""
    features, output = fields.get("features"), fields.get("output")
    if not isinstance(features, dict) or not isinstance(features.get("schema"), str):
        return fields
    rest = {name: value for name, value in features.items() if name not in ("schema", "columns")}
    declared = {
        one.name: one.asked for one in DataSchema.read(path.parent / features["schema"]).inputs
    }
    predicted = output.get("column") if isinstance(output, dict) else None
    wanted = features.get("columns") or [name for name in declared if name != predicted]
    missing = [name for name in wanted if name not in declared]
    if missing:
        raise SpecificationError(f"draft {path}: {features['schema']} declares no {missing[0]!r}")
    try:
        asked = rest.get("series")
        series = None if asked is None else SeriesWindows.model_validate_json(json.dumps(asked))
    except ValidationError as error:
        raise SpecificationError(f"draft {path}: features.series: {every_error(error)}") from error
    table = ordered([declared[name] for name in wanted], () if series is None else series.static)
    columns = [one.model_dump(mode="json") for one in table]
    shape = list(shape_of(table, series))
    return {**fields, "features": {"shape": shape, **rest, "table": columns}}


def _package(name: Any) -> dict[str, Any]:
    """The package that a family comes from, as it is installed here."""
    from fedpact.learning.families import FAMILIES
    from fedpact.learning.packages import package_of, packaged

    if name in FAMILIES or name not in packaged():
        return {}
    return {"package": package_of(name).model_dump(mode="json")}


def _flower(family: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """With the app's package, and what its ServerApp starts from."""
    from fedpact.learning.flower.parameters import completed
    from fedpact.learning.packages import package_of_app

    parameters = family.get("parameters")
    if not isinstance(parameters, Mapping) or not isinstance(parameters.get("app"), str):
        raise SpecificationError(
            'draft: family flower needs parameters = { app = "package.client_app:app", ... }'
        )
    package = family.get("package") or package_of_app(parameters["app"]).model_dump(mode="json")
    return {**family, "package": package, "parameters": completed(dict(parameters), seed)}


def _windows_of_app(given: Mapping[str, Any]) -> dict[str, int]:
    """What a Flower app's training and judging may take, where it is more than the defaults."""
    local, members = given.get("local"), given.get("max_providers")
    if not (isinstance(local, Mapping) and "groups" in local and isinstance(members, int)):
        return {}
    try:
        least = LocalApp.model_validate(local).windows(members)
    except ValidationError:
        return {}  # said with all other problems of the draft
    return {name: max(seconds, DEFAULT_WINDOWS[name]) for name, seconds in least.items()}


def _plain(value: Any) -> Any:
    """Numbers of other types, such as numpy's, as Python's own."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    if isinstance(value, bool | int | float) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def _unknown(given: Mapping[str, Any]) -> list[str]:
    """What is said of a family, strategy or rule that is not known here, of each."""
    from fedpact.learning.aggregation import rule
    from fedpact.learning.families import family
    from fedpact.learning.strategies import strategy
    from fedpact.types.specification import AggregationChoice, StrategyChoice

    found = []
    for field, look_up in (
        ("family", family),
        ("strategy", lambda name: strategy(StrategyChoice(name=name))),
        ("aggregation", lambda name: rule(AggregationChoice(name=name))),
    ):
        asked = given.get(field)
        name = asked.get("name") if isinstance(asked, Mapping) else None
        try:
            if isinstance(name, str):
                look_up(name)
        except UnknownName as error:
            found.append(str(error))
        except SpecificationError:
            pass  # it needs parameters, which are looked at later
    return found


def _lacks_noise(privacy: Any) -> bool:
    return (
        isinstance(privacy, Mapping)
        and privacy.get("mode") == PrivacyMode.SOUND
        and "noise_multiplier" not in privacy
    )


def _with_placeholder(privacy: Any) -> Any:
    return {**privacy, "noise_multiplier": 1.0} if _lacks_noise(privacy) else privacy


def _parse(fields: Mapping[str, Any]) -> Specification:
    try:
        content = canonical_json(fields)
    except UnicodeEncodeError as error:
        raise SpecificationError("draft: a text in it is not valid Unicode") from error
    except ValueError as error:
        raise SpecificationError("draft: a number in it is NaN or infinite") from error
    except TypeError as error:
        raise SpecificationError(f"draft: {error}") from error
    return Specification.decode(content)
