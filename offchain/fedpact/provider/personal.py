"""A provider's personal model of a request whose strategy makes one.

It needs no daemon: the global model is in the content store, sealed for the members, and the
records are the provider's own. Nothing is sent, stored for others or charged.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fedpact.chain.bindings.events import RoundFinalised, RoundsEnded, Started
from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.consensus.artefacts import RoundRef, model_cid, open_global, sealed_bytes
from fedpact.content.keys import delivery_key, key_hash
from fedpact.content.store import ContentStore
from fedpact.errors import ContentError, InvalidInput, NotReady
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of, represented
from fedpact.learning.held_out import kept_apart
from fedpact.learning.personal import PASSES, personal_model, personalising
from fedpact.provider.request.reading import agreed_specification, sealed_to, template_of
from fedpact.types.device import PROCESSOR
from fedpact.types.scores import MAX_SCORE
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.data.declared import DeclaredData

PRIVACY = (
    "none: the model was trained on your records as they are, and may reveal them. It never left"
    " this machine, so no budget was charged; whoever gets the file, or its answers, is not covered"
    " by any epsilon"
)


@dataclass(frozen=True)
class PersonalModel:
    """What a provider trained for itself, and how good it is on records that it did not see."""

    request: int
    deployment: str
    """Hex fingerprint."""
    specification: Specification
    model: Model
    round: int
    """The last final round, whose global model it starts from."""
    trained_on: int
    """How many own examples it was trained on: all of them."""
    held_out: int
    """Of these, the examples on which the errors were measured."""
    error: int
    """On these, of a model that was trained on the others alone; 1/10,000, by the request's
    metric."""
    global_error: int
    """On these, of the global model."""

    def facts(self) -> dict[str, Any]:
        """The content of the JSON file next to the model; as a fetched model's, and `personal`."""
        return {
            "request": self.request,
            "deployment": self.deployment,
            "round": self.round,
            "error": self.error,
            "personal": {
                "trained_on": self.trained_on,
                "held_out": self.held_out,
                "global_error": self.global_error,
                "privacy": PRIVACY,
            },
            "decisions": None,
            "specification": self.specification.model_dump(mode="json"),
        }

    def figures(self) -> dict[str, float]:
        """Both errors from 0 to 1, of a regression in the output's unit."""
        output = self.specification.output
        unit = (1.0 if output is None else output.scale) / MAX_SCORE
        return {"error": self.error * unit, "global_error": self.global_error * unit}


def train_personal(
    client: ChainClient,
    keys: AccountKeys,
    store: ContentStore,
    request: int,
    read: "Callable[[], DeclaredData]",
    on_pass: Callable[[int, int], None] | None = None,
    device: str = PROCESSOR,
) -> PersonalModel:
    """Train the account's personal model of a request, from its last final round.

    A first model is trained on three in four of the records that the request can use, and measured
    on the others; then the one to keep is trained on all.

    Args:
        read: reads the records; called once the request is known to make personal models.
        on_pass: called with (finished passes, passes).
        device: torch's name of the one to train on.

    Raises:
        UnknownRequest: there is no such request.
        InvalidInput: the account is not in its pool.
        SpecificationError: its strategy makes no personal models.
        NotReady: no round is final.
        ContentMissing: the global model is not in the store.
        PolicyRefusal: the records' schema does not fit the request.
        DataError: the records cannot be read or trained on.
    """
    spec = agreed_specification(store.get, client.market.terms(request))
    personalising(spec)
    if client.pool.index_of(request, keys.address) is None:
        raise InvalidInput(f"{keys.address} is not in the pool of request {request}")
    number, shared = _global_model(client, keys, store, request, spec)
    data = read()
    data.schema.check(spec)
    whole = represented(spec, data.dataset(spec))
    training, judging = kept_apart(whole)
    done = itertools.count(1)

    def told(_: int) -> None:
        if on_pass is not None:
            on_pass(next(done), 2 * PASSES)

    trial, own = (personal_model(spec, shared, part, told, device) for part in (training, whole))
    errors = [family_of(spec).error(spec, one, judging.x, judging.y) for one in (trial, shared)]
    fingerprint = client.deployment.fingerprint.hex()
    counts = (len(whole), len(judging))
    return PersonalModel(request, fingerprint, spec, own, number, *counts, *errors)


def _global_model(
    client: ChainClient,
    keys: AccountKeys,
    store: ContentStore,
    request: int,
    spec: Specification,
) -> tuple[int, Model]:
    """The last final round, and the global model after it."""
    started, last, count = None, None, 0
    for event in client.request_events(request, until=RoundsEnded):
        if isinstance(event, Started):
            started = event.start
        elif isinstance(event, RoundFinalised):
            last, count = event, count + 1
    if started is None or last is None:
        raise NotReady(f"request {request}: no round is final yet")
    key = sealed_to(keys, client, store.get, started.manifest)
    if key_hash(key) != started.key_hash:
        raise ContentError(f"request {request}: the key sealed to this account is not its key")
    template, here = template_of(spec), client.deployment.fingerprint
    sealed = store.get(model_cid(template, last.digest), sealed_bytes(template))
    # A round that failed left no model: the k-th final one is sealed under the k-th delivery key.
    opens = delivery_key(key, here, request, count)
    return last.round, open_global(sealed, opens, RoundRef(here, request, count), template)
