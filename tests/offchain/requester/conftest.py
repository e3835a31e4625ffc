"""A requester on a real chain; the test plays its providers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedpact.chain.bindings.events import RequestEvent
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.consensus.artefacts import RoundRef, seal_global
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.keys import committee_key
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of
from fedpact.requester.requester import Requester
from fedpact.types.requests import Status
from tests.offchain.requester.requests_of_digits import draft, evaluation
from tests.support.chain_request import REQUEST_KEY, ChainRequest, People
from tests.support.patient_service import PatientService

PAY = 10**18
WINDOWS = ("join", "start", "submit", "commit", "reveal", "propose", "deliver")


class Played(ChainRequest):
    """A request that the product published; the test controls its three providers."""

    def __init__(self, scene: Scene, request_id: int) -> None:
        terms = scene.client.market.terms(request_id)
        super().__init__(scene.client, scene.people, request_id, terms)
        self.scene = scene

    def begin(self) -> Played:
        fingerprint = self.client.deployment.fingerprint
        committee = committee_key(REQUEST_KEY, fingerprint, self.id)
        self.running(bytes(committee.public_key))
        return self

    def global_model(self) -> Model:
        spec = self.scene.requester.specification(self.id)
        return family_of(spec).initial(spec, 7)

    def finish_round(self) -> None:
        """All agree on a global model, which is in the store."""
        count = self.client.rounds.outcome(self.id).final_rounds + 1
        reference = RoundRef(self.client.deployment.fingerprint, self.id, count)
        sealed = seal_global(self.global_model(), REQUEST_KEY, reference)
        self.post(digest=self.scene.store.put(sealed).digest)

    def happened(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.events() if isinstance(one, kind)]

    def events(self) -> list[RequestEvent]:
        return list(self.client.request_events(self.id))

    @property
    def status(self) -> Status:
        return self.client.market.request(self.id).status


class Scene:
    """The product's requester, its service, and the chain's clock."""

    def __init__(self, anvil: Devnet, client: ChainClient, people: People, folder: Path) -> None:
        self.anvil, self.client, self.people, self.folder = anvil, client, people, folder
        self.store = EmbeddedStore(folder / "content")
        self.requester = Requester(client, self.store, people.requester, folder / "state")
        self.daemon = PatientService(self.requester, 0.01)

    def draft(self, terms: dict[str, Any] | None = None, **changes: Any) -> Any:
        fields = {"rounds": 1, "min_providers": 2, "max_providers": 3}
        fields |= {"windows": dict.fromkeys(WINDOWS, 600), "terms": terms or {}} | changes
        return draft(**fields)

    def create(self, terms: dict[str, Any] | None = None, **changes: Any) -> Played:
        asked = self.draft(terms, **changes)
        return Played(self, self.requester.create(asked, evaluation(), PAY))

    def wait(self, seconds: int) -> None:
        """Let this many seconds pass on chain."""
        self.anvil.mine(2, seconds)


@pytest.fixture
def scene(anvil: Devnet, client: ChainClient, people: People, tmp_path: Path) -> Scene:
    return Scene(anvil, client, people, tmp_path)
