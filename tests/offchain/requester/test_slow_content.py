"""An attack: a request names content that the store looks for without end, or a model takes long.

An IPFS node says nothing for half a minute before it gives up. The requester's service read one
request's content while the slices of all others waited.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedpact.chain.bindings.events import RoundFinalised, SliceOpened
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.requester import slices
from fedpact.requester.card import writing
from fedpact.requester.model_file import card_paths
from fedpact.requester.serve import RequesterDaemon
from fedpact.types.cid import Cid
from fedpact.types.requests import Status
from fedpact.types.specification import SPECIFICATION_MAX_BYTES
from tests.offchain.requester.conftest import Played, Scene
from tests.offchain.requester.test_resold import Buyer, Sale
from tests.support.chain_request import People, admit
from tests.support.patient_service import PatientService
from tests.support.waiting import PATIENCE, wait_until


class Endless(EmbeddedStore):
    """Looks for what it lacks without end."""

    over = threading.Event()

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        if not self.has(cid):
            self.over.wait(PATIENCE)
        return super().get(cid, max_bytes)

    def another(self) -> "Endless":
        return Endless(self._folder)


class Hung(Endless):
    """Answers nothing."""

    def has(self, cid: Cid) -> bool:
        self.over.wait(PATIENCE)
        return super().has(cid)

    def another(self) -> "Hung":
        return Hung(self._folder)


Make = Callable[[str], Scene]
"""A requester with a new account, over such a store; all share it."""


@pytest.fixture
def make(
    anvil: Devnet, client: ChainClient, operator: AccountKeys, people: People, tmp_path: Path
) -> Iterator[Make]:
    def made(name: str) -> Scene:
        keys = anvil.new_account()
        admit(client, operator, keys, 1_000 + int(keys.address, 16) % 60_000)
        folder = tmp_path / name
        folder.mkdir()
        scene = Scene(anvil, client, replace(people, requester=keys), folder)
        scene.store = scene.requester.store = Endless(tmp_path / "content")
        scene.daemon = PatientService(scene.requester, 0.01)
        return scene

    Endless.over.clear()
    yield made
    Endless.over.set()


def lose(scene: Scene, cid: Cid) -> None:
    """From the store, and from the requester's copies."""
    for folder in (scene.store._folder, scene.requester._folder / "copies"):
        (folder / "content" / str(cid)).unlink(missing_ok=True)


def without_specification(scene: Scene) -> None:
    request = scene.create(title="Its specification is nowhere").begin()
    lose(scene, Cid.of_digest(request.terms.specification, SPECIFICATION_MAX_BYTES))


def without_model(scene: Scene) -> None:
    request = scene.create(title="Its model is nowhere").begin()
    request.post()
    request.deliver()


@pytest.mark.parametrize("hostile", [without_specification, without_model])
def test_content_that_never_comes_delays_no_slice(
    make: Make, hostile: Callable[[Scene], None]
) -> None:
    scene = make("requester")
    hostile(scene)
    opens_a_slice_soon(scene)


def test_a_bought_model_that_never_comes_delays_no_slice(make: Make, operator: AccountKeys) -> None:
    seller, buyer = make("seller"), make("buyer")
    sale = Sale(seller, operator)
    sale.sold_to(Buyer(buyer.people.requester, buyer.requester))
    lose(seller, Cid.of_digest(sale.request.happened(RoundFinalised)[-1].digest, 1))
    opens_a_slice_soon(buyer)


def test_a_start_while_the_store_hangs_delays_no_slice(make: Make) -> None:
    """The copy of its specification lay beside it, and the store was asked first."""
    scene = make("requester")
    request = scene.create().begin()
    request.submit(0, 1, 2)
    scene.requester.store = Hung(scene.store._folder)
    its_slice_is_opened_soon(scene, request)


def test_a_model_that_takes_long_to_measure_delays_no_slice(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its card was computed in the cycle."""
    scene = make("requester")
    request = scene.create(title="Its model takes long").begin()
    request.finish_round()
    request.deliver()
    really, begun = writing.measured, threading.Event()

    def slowly(*given: Any) -> Any:
        begun.set()
        Endless.over.wait(PATIENCE)
        return really(*given)

    monkeypatch.setattr(writing, "measured", slowly)
    service = RequesterDaemon(scene.requester, 0.01)

    def measures() -> bool:
        service.cycle()
        return begun.is_set()

    wait_until(measures)
    other = scene.create().begin()
    other.submit(0, 1, 2)
    its_slice_is_opened_soon(scene, other, service)
    assert request.status is Status.DELIVERED
    Endless.over.set()

    def settled() -> bool:
        service.cycle()
        return request.status is Status.SETTLED

    wait_until(settled)
    assert scene.requester.has_model(request.id)


def test_models_that_wait_to_be_measured_hold_no_slices(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that had been away read the evaluation sets of all requests that had been delivered
    meanwhile, and held them until their turn came: gigabytes, and again after each start."""
    scene = make("requester")
    requests = [scene.create(title=f"Delivered {number}").begin() for number in range(3)]
    for request in requests:
        request.finish_round()
        request.deliver()
    really, begun, opened = writing.measured, threading.Event(), list[int]()
    opens = slices.open_slice

    def slowly(*given: Any) -> Any:
        begun.set()
        Endless.over.wait(PATIENCE)
        return really(*given)

    def noted(*given: Any) -> Any:
        opened.append(len(opened))
        return opens(*given)

    monkeypatch.setattr(writing, "measured", slowly)
    monkeypatch.setattr(slices, "open_slice", noted)
    service = RequesterDaemon(scene.requester, 0.01)

    def all_wait() -> bool:
        service.cycle()
        return begun.is_set() and len(service._content._measuring._running) == len(requests)

    wait_until(all_wait)
    assert len(opened) == 1
    Endless.over.set()

    def settled() -> bool:
        service.cycle()
        return all(request.status is Status.SETTLED for request in requests)

    wait_until(settled)
    for request in requests:
        said = card_paths(scene.requester.model_path(request.id))[1].read_text()
        assert json.loads(said)["quality"] is not None
    assert len(opened) == len(requests)


def test_a_store_that_hangs_keeps_no_model_from_being_measured(make: Make) -> None:
    """The requester's own copies of its slices come first."""
    scene = make("requester")
    spec = scene.requester.specification(scene.create().id)
    scene.requester.store = Hung(scene.store._folder)
    with scene.requester.content() as content:
        began = time.monotonic()
        assert content.slices(spec, scene.people.requester) is not None
        assert time.monotonic() - began < PATIENCE


def opens_a_slice_soon(scene: Scene) -> None:
    """A service that is started now, of a request that is made now."""
    request = scene.create().begin()
    request.submit(0, 1, 2)
    its_slice_is_opened_soon(scene, request)


def its_slice_is_opened_soon(
    scene: Scene, request: Played, service: RequesterDaemon | None = None
) -> None:
    service, began = service or RequesterDaemon(scene.requester, 0.01), time.monotonic()

    def opened() -> bool:
        service.cycle()
        return bool(request.happened(SliceOpened))

    wait_until(opened)
    assert time.monotonic() - began < PATIENCE
