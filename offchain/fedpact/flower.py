"""A strategy for Flower whose federation is a request: providers of the market train the app's
ClientApp, judge each other's models and are paid (docs/flower.md).

    strategy = fedpact.flower.Strategy(market, "draft.toml", "evaluation.csv", pay="0.5 ether")
    result = strategy.start(grid, initial_arrays, num_rounds=3)
"""

import io
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from fedpact.errors import (
    ContentUnavailable,
    FedpactError,
    InvalidInput,
    ModelError,
    Retryable,
    SettingsError,
)
from fedpact.learning.artefact import MAX_WEIGHT, Model, decode, encode
from fedpact.learning.flower.jobs import Array, arrays_of, arrays_text, config_text, template_of
from fedpact.learning.flower.parameters import FlowerParameters
from fedpact.requester.draft import Draft
from fedpact.types.document import canonical_json
from fedpact.types.requests import Status

try:
    from flwr.app import Array as FlowerArray
    from flwr.app import ArrayRecord, MetricRecord
    from flwr.serverapp.strategy import Result
    from flwr.serverapp.strategy import Strategy as FlowerStrategy
except ImportError as error:
    raise SettingsError(
        f"fedpact.flower needs {error.name}: pip install 'fedpact[flower]'"
    ) from error

if TYPE_CHECKING:
    from fedpact.api.market import Market
    from fedpact.api.request import Request
    from fedpact.requester.final_rounds import Round
    from fedpact.requester.follow import RequestProgress
    from fedpact.types.specification import Specification

__all__ = ["Strategy"]

SAID_BY_START = ("rounds", "initial_model", "seed")
"""Fields of a draft in whose place arguments of `start` stand."""
PARAMETERS_SAID_BY_START = ("server", "arrays")
"""Likewise, of `family.parameters`."""
OWN_TO_A_REQUEST: dict[str, Any] = {"initial_model": True, "evaluation": True}
"""Parts of a specification that two starts of one ServerApp need not have in common: random first
arrays, and slices, which are sealed again."""

log = logging.getLogger("flwr")
"""Flower's own, so that progress is shown where that of its strategies is."""


class Strategy(FlowerStrategy):  # type: ignore[misc]  # Flower's types are not followed
    """Takes the place of FedAvg and the like in a ServerApp; the rest of it stays as it is.

    `start` publishes a request, pays its escrow, and follows it until the model is delivered. The
    members are providers of the market whose daemons serve the app (family `flower`), each on its
    own records: they clip and noise, vote, aggregate. Nodes of Flower's grid take no part.
    """

    def __init__(
        self,
        market: "Market",
        draft: Draft | Path | str,
        evaluation: Any,
        *,
        pay: str,
        run_config: Mapping[str, bool | float | int | str] | None = None,
        request_id: int | None = None,
    ) -> None:
        """`market`: from `fedpact.connect`. `draft`: what is asked for, or the file of it, without
        what `start` says: `rounds`, `initial_model`, `seed`, `family.parameters.server` and
        `arrays`. `evaluation`, `pay`: as in `Market.request`. `run_config`: the app's settings,
        such as `context.run_config`, in place of the draft's; they are published.
        `request_id`: of an earlier `start`, to go on with; nothing is paid then.

        Raises SpecificationError for a draft that cannot be read, InvalidInput for one of another
        family or with what `start` says.
        """
        self._market, self._evaluation, self._pay = market, evaluation, pay
        self._draft = _checked(draft, run_config)
        self._request_id = request_id
        self.request: Request | None = None
        """What `start` publishes or goes on with: rounds, votes, model card, audit."""

    def summary(self) -> None:
        """Log what is asked for, and for how much."""
        title = self._draft.fields.get("title")
        log.info("\t├──> %s", self._market)
        log.info("\t└──> draft %r for %s: providers train, not nodes of the grid", title, self._pay)

    def start(
        self,
        grid: Any,
        initial_arrays: Any,
        num_rounds: int = 3,
        timeout: float | None = None,
        train_config: Any = None,
        evaluate_config: Any = None,
        evaluate_fn: Callable[[int, Any], Any] | None = None,
    ) -> Any:
        """Publish the request, follow it to its end, and return Flower's `Result`.

        `grid`: may be None; it is not used. `initial_arrays` (ArrayRecord): floats; everybody who
        sees the request can read them. `timeout`: most seconds that a round's training takes,
        `windows.submit`; None: as in the draft. `train_config` (ConfigRecord): settings that each
        message of training has; they are published. `evaluate_config`: none may be given.
        `evaluate_fn`: called with round 0 and the first arrays before anything is paid (not by a
        start that goes on with an earlier request), and with the last final round and its arrays: a
        requester sees no model in between.

        In the result: `arrays`, the delivered model; `evaluate_metrics_clientapp`, the global
        model's measure by round, the median of what the members' ClientApps measured on the
        evaluation slice; `train_metrics_clientapp`, by round: members, submitted and included
        models, by seat the median score of each model (NaN: none) and points of 10,000.

        A progress line is logged at each change. Ctrl-C leaves the request as it is; `request_id`
        goes on with it. Raises InvalidInput for what cannot be honoured, as `Market.request`
        before anything is paid, InvalidInput where the account has the same request under way, or
        may have with other first arrays (ADR 64), and as `Request.follow`, NotReady if it ended
        without a model.
        """
        draft, arrays = self._asked(initial_arrays, num_rounds, timeout, train_config)
        if evaluate_config:
            raise InvalidInput(
                "evaluate_config: members evaluate with server-round alone; leave it out, and put "
                "the app's settings into run_config"
            )
        log.info("Starting a request of fedpact:")
        self.summary()
        result = Result()
        request = self._under_way(draft.specification)
        if request is None:
            if evaluate_fn is not None:
                _evaluate(evaluate_fn, 0, initial_arrays, result)
            request = self._published(draft, arrays)
        self.request = request
        log.info("request %d: %d rounds", request.id, num_rounds)
        final = self._followed(request, result)
        if len(final) < num_rounds:
            log.warning(
                "request %d: %d of %d rounds became final", request.id, len(final), num_rounds
            )
        result.arrays = arrays.record(request.result().weights)
        if evaluate_fn is not None:
            _evaluate(evaluate_fn, final[-1], result.arrays, result)
        log.info("Final results:")
        for line in io.StringIO(str(result)):
            log.info("\t%s", line.rstrip("\n"))
        return result

    def configure_train(self, *_: Any, **__: Any) -> NoReturn:
        """Raises InvalidInput, as the other steps of Flower's own rounds: no server takes them."""
        _refuse_step("configure_train")

    def aggregate_train(self, *_: Any, **__: Any) -> NoReturn:
        """Raises InvalidInput: the members aggregate."""
        _refuse_step("aggregate_train")

    def configure_evaluate(self, *_: Any, **__: Any) -> NoReturn:
        """Raises InvalidInput: the members evaluate, on the request's slices."""
        _refuse_step("configure_evaluate")

    def aggregate_evaluate(self, *_: Any, **__: Any) -> NoReturn:
        """Raises InvalidInput: the contract takes the votes' medians."""
        _refuse_step("aggregate_evaluate")

    def _asked(
        self, initial_arrays: Any, num_rounds: int, timeout: float | None, train_config: Any
    ) -> "tuple[Draft, _Arrays]":
        """The whole draft but for its first model."""
        arrays = _Arrays.of(initial_arrays)
        fields = self._draft.fields
        family, windows = fields["family"], fields.get("windows", {})
        parameters = {**family["parameters"], "arrays": arrays_text(arrays.described)}
        if train_config:
            if "train_config" in parameters:
                raise InvalidInput("train_config: the draft has one too: leave one out")
            parameters["train_config"] = _config("train_config", train_config)
        if timeout is not None:
            windows = _with_submit(windows, timeout)
        changed = {"family": {**family, "parameters": parameters}, "rounds": num_rounds}
        return self._draft.changed(**changed, windows=windows), arrays

    def _under_way(self, asked: "Specification") -> "Request | None":
        """The request to go on with. Raises InvalidInput if it asks for something else, or if this
        account has the same under way and none is named."""
        if self._request_id is not None:
            found = self._market.request_by_id(self._request_id)
            differing = _differing(found.specification, asked)
            if differing:
                raise InvalidInput(
                    f"request {found.id} has other {', '.join(differing)} than this start asks "
                    f"for; `fedpact request follow {found.id}` goes on with it as it is"
                )
            return found
        for one in self._market.requests():
            if one.progress.status is Status.SETTLED or _differing(one.specification, asked):
                continue
            raise InvalidInput(
                f"request {one.id} asks for the same and is not over: go on with it by "
                f"request_id={one.id}, or cancel it first"
            )
        return None

    def _published(self, draft: Draft, arrays: "_Arrays") -> "Request":
        """Raises InvalidInput if a start for the same with other first arrays was stopped while it
        published: it may have been paid, and this would be another request."""
        spec, requests = draft.specification, self._market.requests()
        began = _Began.of(self._market.first_models, spec)
        since = requests[began.requests :] if began.before else []
        if any(not _differing(one.specification, spec) for one in since):
            began.forget()  # it was published
        before = began.before
        file = began.with_first_arrays(arrays.model, len(requests))
        asked = draft.changed(initial_model=str(file))
        try:
            request = self._market.request(asked, self._evaluation, pay=self._pay)
        except FedpactError as error:
            # While it waits for the chain, a transaction may be on its way: of this start, or of
            # the one before. What else is raised comes before it, or once the chain has it.
            waits = isinstance(error, Retryable) and not isinstance(error, ContentUnavailable)
            if not (before or waits):
                began.forget()
            raise
        began.forget()
        return request

    def _followed(self, request: "Request", result: Any) -> list[int]:
        """Numbers of the final rounds, of which rounds that failed are left out; each one's metrics
        go into the result."""
        spec, final = request.specification, []

        def told(progress: "RequestProgress") -> None:
            log.info("request %d: %s", request.id, progress.text)

        try:
            for one in request.follow(on_progress=told):
                final.append(one.number)
                _add_metrics(spec, one, result)
        except (KeyboardInterrupt, SystemExit, Retryable):
            log.warning(
                "stopped: request %d goes on, but nobody opens its evaluation slices; a start with "
                "request_id=%d takes it up again",
                request.id,
                request.id,
            )
            raise
        return final


@dataclass(frozen=True)
class _Began:
    """A start from before its request is published until it is known to be, or known not to be: a
    file that names the first arrays and says how many requests the account had, beside the file of
    the arrays, which stays."""

    journal: Path

    @classmethod
    def of(cls, folder: Path, asked: "Specification") -> "_Began":
        """Starts that ask for the same but for what is own to a request share one."""
        said = asked.model_dump(mode="json", exclude=OWN_TO_A_REQUEST)
        return cls(folder / f"{sha256(canonical_json(said)).hexdigest()[:16]}.journal")

    @property
    def before(self) -> bool:
        """Whether an earlier start was stopped."""
        return self.journal.exists()

    @property
    def requests(self) -> int:
        """How many the account had before the earlier start."""
        return int(self._said[1])

    @property
    def _said(self) -> list[str]:
        return self.journal.read_text(encoding="utf-8").split()

    def with_first_arrays(self, model: Model, requests: int) -> Path:
        """The file of the first arrays. Raises InvalidInput if the earlier start had others."""
        data = encode(model)
        file = self.journal.with_name(f"{sha256(data).hexdigest()[:16]}.safetensors")
        if self.before:
            earlier = self.journal.with_name(self._said[0])
            if earlier != file:
                raise InvalidInput(
                    "a start for the same with other first arrays was stopped while it published "
                    "its request, and may have been paid: start with those again, "
                    f"{earlier}, or delete {self.journal} to begin with these"
                )
            return file
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        new = self.journal.with_suffix(".new")
        new.write_text(f"{file.name} {requests}", encoding="utf-8")
        new.replace(self.journal)
        return file

    def forget(self) -> None:
        """Another start, or a user, may have."""
        self.journal.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Arrays:
    """A strategy's first arrays."""

    described: tuple[Array, ...]
    model: Model
    """float32, as between parties."""

    @classmethod
    def of(cls, given: Any) -> "_Arrays":
        """Raises InvalidInput for what no update can be taken of."""
        if not isinstance(given, ArrayRecord):
            raise InvalidInput(
                f"initial_arrays: an ArrayRecord is needed, not {type(given).__name__}"
            )
        try:
            values = {name: one.numpy() for name, one in given.items()}
            listed = tuple(Array(name, str(one.dtype), one.shape) for name, one in values.items())
            described = arrays_of(arrays_text(listed))
            with np.errstate(over="ignore"):  # decode refuses the infinite
                model = {name: one.astype(np.float32) for name, one in values.items()}
            return cls(described, decode(encode(model), template_of(described, MAX_WEIGHT)))
        except (InvalidInput, ModelError, TypeError) as error:
            raise InvalidInput(f"initial_arrays: {error}") from error

    def record(self, model: Model) -> Any:
        """A model as the app has it: order, names and types of the first arrays."""
        return ArrayRecord(
            OrderedDict(
                (one.name, FlowerArray(np.asarray(model[one.name], one.dtype)))
                for one in self.described
            )
        )


def _checked(draft: Draft | Path | str, run_config: Mapping[str, Any] | None) -> Draft:
    """With the settings of the run. Raises InvalidInput."""
    if isinstance(draft, Path | str):
        draft = Draft.read(draft)
    if not isinstance(draft, Draft):
        raise InvalidInput(f"draft: a Draft or the path of a file is needed, not {draft!r}")
    family = draft.fields.get("family")
    parameters = family.get("parameters") if isinstance(family, Mapping) else None
    if not isinstance(family, Mapping) or family.get("name") != "flower":
        raise InvalidInput('draft: family.name must be "flower", to have a Flower app trained')
    if not isinstance(parameters, Mapping):
        raise InvalidInput('draft: family.parameters must name the app, app = "package.module:app"')
    said = [name for name in SAID_BY_START if name in draft.fields]
    said += [f"family.parameters.{one}" for one in PARAMETERS_SAID_BY_START if one in parameters]
    if said:
        raise InvalidInput(f"draft: leave {', '.join(said)} out: start() says it")
    if run_config is None:
        return draft
    if "run_config" in parameters:
        raise InvalidInput("run_config: the draft has one too: leave one out")
    parameters = {**parameters, "run_config": _config("run_config", run_config)}
    return draft.changed(family={**family, "parameters": parameters})


def _with_submit(windows: Any, timeout: float) -> dict[str, Any]:
    if not isinstance(windows, Mapping) or "submit" in windows:
        raise InvalidInput("timeout: the draft has windows.submit too: leave one out")
    if not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
        raise InvalidInput(f"timeout: a number of seconds is needed, not {timeout!r}")
    return {**windows, "submit": math.ceil(timeout)}


def _config(name: str, given: Any) -> str:
    if not isinstance(given, Mapping):
        raise InvalidInput(f"{name}: settings by name are needed, not {given!r}")
    for key, value in given.items():
        every = value if isinstance(value, list) else [value]
        if not isinstance(key, str) or not all(isinstance(one, int | float | str) for one in every):
            raise InvalidInput(
                f"{name}: {key!r} is not a number, text or list of them, but {value!r}"
            )
    return config_text(dict(given))


def _differing(published: "Specification", asked: "Specification") -> list[str]:
    """Fields in which a request has something else than a start asks for. Columns that the start
    does not name are those of the evaluation set."""
    own = OWN_TO_A_REQUEST
    if not asked.features.columns:
        own = {**own, "features": {"columns"}}
    one, other = (spec.model_dump(mode="json", exclude=own) for spec in (published, asked))
    return [name for name in one if one[name] != other[name]]


def _add_metrics(spec: "Specification", one: "Round", result: Any) -> None:
    measured = None
    if one.error is not None:
        measure = FlowerParameters.model_validate(spec.family.parameters).measure
        unit = 1.0 if spec.output is None else spec.output.scale
        measured = MetricRecord({measure: 1 - one.error / unit})
        result.evaluate_metrics_clientapp[one.number] = measured
    log.info("[ROUND %d/%d] %s", one.number, spec.rounds, measured or "not judged: no slice")
    members = one.members
    result.train_metrics_clientapp[one.number] = MetricRecord(
        {
            "members": len(members),
            "submitted": sum(member.submitted for member in members),
            "included": sum(member.included for member in members),
            "scores": [np.nan if member.score is None else member.score for member in members],
            "points": [member.points for member in members],
        }
    )


def _evaluate(
    evaluate_fn: Callable[[int, Any], Any], server_round: int, arrays: Any, result: Any
) -> None:
    found = evaluate_fn(server_round, arrays)
    log.info("evaluate_fn, round %d: %s", server_round, found)
    if found is not None:
        result.evaluate_metrics_serverapp[server_round] = found


def _refuse_step(name: str) -> NoReturn:
    raise InvalidInput(
        f"{name}: fedpact's rounds are made by the members of a request: call start() of the "
        "strategy itself, not through another strategy or workflow"
    )
