"""Models that come after their requests are settled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fedpact.consensus.artefacts import RoundRef, seal_global
from fedpact.requester.accept_or_dispute import settle
from fedpact.requester.request_view import look
from fedpact.requester.requester import Requester
from fedpact.types.cid import Cid
from fedpact.types.requests import Status
from tests.offchain.requester.conftest import Played, Scene
from tests.support.chain_request import REQUEST_KEY
from tests.support.patient_service import PatientService

DISPUTES = 60
"""Seconds for which a delivery can be disputed."""


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


def delivered(scene: Scene) -> tuple[Played, bytes]:
    """A request whose final model is nowhere, and the model."""
    request = scene.create(terms={"dispute_window": DISPUTES}).begin()
    reference = RoundRef(scene.client.deployment.fingerprint, request.id, 1)
    sealed = seal_global(request.global_model(), REQUEST_KEY, reference)
    request.post(digest=Cid.of(sealed).digest)
    request.deliver()
    scene.wait(DISPUTES)
    return request, sealed


def settled_by_a_member(scene: Scene) -> tuple[Played, bytes]:
    request, sealed = delivered(scene)
    settle(scene.people.members[0], look(scene.client, request.id))
    return request, sealed


def test_a_model_arrives_though_its_request_was_settled_while_the_service_was_away(
    scene: Scene,
) -> None:
    """Who was away for longer than the dispute window had paid for a model and never got it: its
    makers may drop it a week later."""
    request, sealed = settled_by_a_member(scene)
    scene.store.put(sealed)
    scene.daemon.cycle()
    assert scene.requester.has_model(request.id)


def test_a_model_that_was_nowhere_when_its_request_was_settled_is_looked_for(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    request, sealed = delivered(scene)
    for _ in range(3):
        scene.daemon.cycle()
    assert request.status is Status.SETTLED
    assert caplog.text.count(f"request {request.id}: its model is not here yet") == 1
    scene.store.put(sealed)
    [looking] = [one for number, one in scene.daemon._results.items() if number == request.id]
    looking._next = 0.0
    scene.daemon.cycle()
    assert scene.requester.has_model(request.id)
    assert request.id not in scene.daemon._results


def test_a_model_is_looked_for_as_long_as_its_makers_keep_it(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    request, _ = settled_by_a_member(scene)
    hurried = Requester(
        scene.client, scene.store, scene.people.requester, scene.folder / "state", keep_days=0.01
    )
    service = PatientService(hurried, 0.01)
    service.cycle()
    assert request.id in service._results
    scene.wait(1_000)
    service._results[request.id]._next = 0.0
    service.cycle()
    assert request.id not in service._results
    assert f"request {request.id}: its model was not fetched" in caplog.text
    caplog.clear()
    again = PatientService(hurried, 0.01)
    again.cycle()
    assert request.id not in again._results
    assert caplog.text.count(f"try `fedpact request fetch {request.id}`") == 1


def test_a_wrong_key_that_was_not_disputed_in_time_is_told_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    request = scene.create(terms={"dispute_window": DISPUTES})
    request.deliveries = replace(request.deliveries, ciphers=(bytes(32),))
    request.begin().finish_round()
    request.deliver()
    scene.wait(DISPUTES)
    settle(scene.people.members[0], look(scene.client, request.id))
    for _ in range(2):
        scene.daemon.cycle()
    assert caplog.text.count(f"request {request.id}: its key does not open") == 1
    assert not scene.requester.has_model(request.id)
