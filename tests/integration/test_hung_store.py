"""A content store that hangs: what needs it waits, nothing else does (real daemon and node)."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from threading import get_ident

import pytest

from fedpact.demo.data import prepare
from fedpact.demo.network import running_network
from fedpact.demo.options import DemoOptions, StoreKind
from tests.chaos.fault_proxies import StoreWeather, store_with
from tests.support.chain_request import ChainRequest, People
from tests.support.requester_process import Service
from tests.support.waiting import PATIENCE, wait_until
from tests.support.world import PAY, World

ATTEMPTS = 5
"""A busy machine may take longer for a request than a daemon's store waits: half a minute."""


GIVEN_UP = 29.0
"""Seconds after which a call that hangs may have been given up."""


class DeafTo(StoreWeather):
    """The node says nothing to calls of one command, and answers all others."""

    def __init__(self, command: str) -> None:
        super().__init__()
        self._command = f"/{command}?"
        self.hangs, self.begun = False, dict[int, float]()
        """Whether it does, and when each call began, by the thread that answers it."""

    def says_nothing(self, path: str) -> bool:
        waits = self.hangs and self._command in path
        if waits:
            self.begun.setdefault(get_ident(), time.monotonic())
        return waits


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    data = prepare(DemoOptions(providers=2, rounds=1), tmp_path)
    with running_network(tmp_path, StoreKind.IPFS) as (network, registrar):
        yield World(network, registrar, data)


def declined_meanwhile(world: World, weather: DeafTo) -> bool:
    """Whether the daemon declines a request while one and the same put hangs."""
    begun = max(weather.begun.values())
    others = [world.accounts[1].address, world.auditor.address]
    draft = world.data.draft.changed(invited=others)
    other = world.requester.create(draft, world.data.evaluation, PAY)
    declined = f"request {other}: declined: others are invited"
    wait_until(lambda: declined in world.log(0), lambda: world.log(0))
    return time.monotonic() < begun + GIVEN_UP


def test_a_put_that_hangs_delays_no_other_request(world: World) -> None:
    """A daemon put its own content into the store in its cycle: votes and claims of all requests
    waited half a minute, again and again."""
    network, weather = world.network, DeafTo("add")
    node = network.store_uri
    with store_with(weather, lambda: node) as address:
        network.store_uri = address
        weather.hangs = True
        world.serve(0)
        network.store_uri = node
        network.wait_until_serving()
        draft = world.data.draft.changed(min_providers=2)
        joined = world.requester.create(draft, world.data.evaluation, PAY)
        wait_until(lambda: weather.begun, lambda: world.log(0))
        assert any(declined_meanwhile(world, weather) for _ in range(ATTEMPTS)), world.log(0)
        assert f"request {joined}: joined" not in world.log(0)
        process = world.process(0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        weather.hangs = False
        network.names.remove("provider-1")
        network.daemons.remove(process)
        network.store_uri = address
        world.serve(0)
        wait_until(lambda: f"request {joined}: joined" in world.log(0), lambda: world.log(0))


def opened_meanwhile(world: World, service: Service, weather: DeafTo) -> bool:
    """Whether the service opens a slice while a call of its own hangs."""
    windows = dict.fromkeys(world.data.draft.fields["windows"], 900)
    draft = world.data.draft.changed(windows=windows, min_providers=2, terms={"max_pool": 2})
    number = world.requester.create(draft, world.data.evaluation, PAY)
    people = People(world.registrar, world.requester_keys, world.accounts)
    request = ChainRequest(world.client, people, number, world.client.market.terms(number))
    request.running()
    weather.begun.clear()
    service.start()
    wait_until(lambda: weather.begun, service.log)
    began = min(weather.begun.values())
    service.send(signal.SIGHUP)
    request.submit(0, 1)
    wait_until(lambda: world.client.rounds.round_facts(number).slice_opened, service.log)
    in_time = time.monotonic() < began + GIVEN_UP
    service.stop()
    return in_time


def test_content_that_is_looked_after_delays_no_slice(world: World) -> None:
    """The requester's service asked the store for what it owes in its cycle, each minute: where
    the store hung, no slice of any request was opened for half a minute. SIGHUP ended it."""
    network, weather, service = world.network, DeafTo("files/stat"), Service(world.network)
    node = network.store_uri
    with store_with(weather, lambda: node) as address:
        network.store_uri, weather.hangs = address, True
        assert any(opened_meanwhile(world, service, weather) for _ in range(ATTEMPTS)), (
            service.log()
        )
        weather.hangs = False
