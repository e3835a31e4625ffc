"""An app's messages: the global arrays in, what it made of them out. Imports Flower."""

import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
from flwr.app import Array as FlowerArray
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, Metadata, RecordDict

from fedpact.learning.artefact import Model
from fedpact.learning.flower.jobs import (
    App,
    AppFailed,
    Array,
    Config,
    Evaluate,
    Train,
    arrays_text,
    config_of,
    config_text,
)
from fedpact.learning.flower.serving import DATA_FILE, serve_records

ROUND = "server-round"
"""The setting in which Flower's strategies tell the round."""
NODE = 2
"""Flower's number of the provider."""


def trained(app: App, client: Any, job: Train) -> Model:
    """The arrays of the ClientApp's reply, float32. Raises AppFailed for others than asked for."""
    config = {**config_of(job.config), ROUND: job.round}
    reply = _replied(app, client, job, "train", config)
    if _is_legacy(client):
        from flwr.common import parameters_to_ndarrays
        from flwr.compat.common.recorddict_compat import recorddict_to_fitres

        result = recorddict_to_fitres(reply, keep_input=False)
        values = parameters_to_ndarrays(result.parameters)
        if len(values) != len(job.arrays):
            raise AppFailed(f"the app returned {len(values)} arrays, not {len(job.arrays)}")
        found = {one.name: value for one, value in zip(job.arrays, values, strict=True)}
    else:
        found = _only_arrays(reply)
    return _fitting(found, job.arrays)


def evaluated(app: App, client: Any, job: Evaluate) -> float:
    """A metric of the ClientApp's reply. Raises AppFailed where it has none of that name."""
    reply = _replied(app, client, job, "evaluate", {ROUND: job.round})
    metrics: dict[str, Any] = {}
    if _is_legacy(client):
        from flwr.compat.common.recorddict_compat import recorddict_to_evaluateres

        metrics = dict(recorddict_to_evaluateres(reply).metrics)
    else:
        for record in reply.metric_records.values():
            metrics |= dict(record)
    if not isinstance(metrics.get(job.metric), int | float):
        raise AppFailed(f"the app measures no {job.metric!r}: {', '.join(map(str, metrics))}")
    return float(metrics[job.metric])


def described(app: App, server: Any) -> tuple[dict[str, str], Model]:
    """What a ServerApp would send in its first round: the arrays as a specification names them,
    the settings of training, and the first model."""
    context = Context(1, 1, {}, RecordDict(), config_of(app.run_config))
    named, config = _started(server, context)
    arrays = tuple(Array(name, str(one.dtype), one.shape) for name, one in named.items())
    header = {"arrays": arrays_text(arrays), "train_config": config_text(config)}
    floats = all(one.dtype.kind == "f" for one in named.values())
    return header, {name: one.astype(np.float32) for name, one in named.items()} if floats else {}


class _Captured(BaseException):
    """Ends a ServerApp where its strategy would begin; no `except Exception` of the app's holds
    it."""

    def __init__(self, arrays: Any, config: Any) -> None:
        self.arrays, self.config = arrays, config


def _started(server: Any, context: Context) -> tuple[dict[str, Any], Config]:
    """The first arrays of a ServerApp by name, and its settings of training."""
    from flwr.serverapp.strategy import Strategy

    if server._server_fn is not None:
        return _started_before(server._server_fn(context).strategy)

    def start(
        _: Any, grid: Any, initial_arrays: Any, *rest: Any, train_config: Any = None, **others: Any
    ) -> None:
        raise _Captured(initial_arrays, rest[2] if len(rest) > 2 else train_config)

    # In a fork that ends with this answer.
    Strategy.start = start
    try:
        server(None, context)
    except _Captured as found:
        named = {name: one.numpy() for name, one in found.arrays.items()}
        return named, dict(found.config or {})
    raise AppFailed("the ServerApp ended without starting a strategy of flwr.serverapp")


def _started_before(strategy: Any) -> tuple[dict[str, Any], Config]:
    """As `_started`, of a strategy of before messages (flwr.server)."""
    from flwr.common import parameters_to_ndarrays

    parameters = strategy.initialize_parameters(None)
    if parameters is None:
        raise AppFailed("the ServerApp's strategy has no initial_parameters: name them there")
    configure = getattr(strategy, "on_fit_config_fn", None)
    values = parameters_to_ndarrays(parameters)
    config = dict(configure(1)) if configure is not None else {}
    return {str(number): value for number, value in enumerate(values)}, config


def _replied(app: App, client: Any, job: Train | Evaluate, kind: str, config: Config) -> Any:
    serve_records(job.records)
    node = {"partition-id": 0, "num-partitions": 1, "data-path": DATA_FILE}
    context = Context(1, NODE, node, RecordDict(), config_of(app.run_config))
    values = [job.model[one.name].astype(one.dtype) for one in job.arrays]
    if _is_legacy(client):
        content = _legacy_content(values, kind, config)
    else:
        record = ArrayRecord(
            OrderedDict(
                (one.name, FlowerArray(value))
                for one, value in zip(job.arrays, values, strict=True)
            )
        )
        content = RecordDict({"arrays": record, "config": ConfigRecord(config)})
    # As a SuperLink would fill it in: there is one run, one server and one node.
    metadata = Metadata(
        run_id=1,
        message_id="1",
        src_node_id=1,
        dst_node_id=NODE,
        reply_to_message_id="",
        group_id=str(job.round),
        created_at=time.time(),
        ttl=job.seconds,
        message_type=kind,
    )
    reply = client(Message(metadata=metadata, content=content), context)
    if reply.has_error():
        raise AppFailed("the app replied with an error")
    return reply.content


def _legacy_content(values: list[Any], kind: str, config: Config) -> Any:
    from flwr.common import EvaluateIns, FitIns, ndarrays_to_parameters
    from flwr.compat.common.recorddict_compat import evaluateins_to_recorddict, fitins_to_recorddict

    parameters = ndarrays_to_parameters(values)
    if kind == "train":
        return fitins_to_recorddict(FitIns(parameters, config), keep_input=True)
    return evaluateins_to_recorddict(EvaluateIns(parameters, config), keep_input=True)


def _is_legacy(client: Any) -> bool:
    """Whether a ClientApp was made with a `client_fn` (NumPyClient)."""
    return client._call is not None


def _only_arrays(reply: RecordDict) -> dict[str, Any]:
    records = list(reply.array_records.values())
    if len(records) != 1:
        raise AppFailed(f"the app's reply has {len(records)} ArrayRecords, not one")
    return {name: one.numpy() for name, one in records[0].items()}


def _fitting(found: Mapping[str, Any], arrays: tuple[Array, ...]) -> Model:
    wanted = {one.name: one.shape for one in arrays}
    if {name: value.shape for name, value in found.items()} != wanted:
        raise AppFailed("the app returned other arrays than the specification's")
    return {name: np.asarray(value, dtype=np.float32) for name, value in found.items()}
