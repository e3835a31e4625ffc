"""What `fedpact provider check` says of nodes."""

from contextlib import closing
from pathlib import Path

import pytest
import torch

from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.provider import preflight
from fedpact.provider.preflight import Preflight
from fedpact.provider.serve import ServedFiles
from fedpact.provider.startup_checks import Level
from fedpact.settings import Settings
from tests.support.node_proxy import Message, node_in_front

BEHIND = 5


def test_a_node_that_is_behind_is_named_without_the_key_in_its_address(anvil: Devnet) -> None:
    for _ in range(BEHIND + 1):
        anvil.mine()
    with closing(ChainClient.connect(anvil.url, None)) as client:
        head = client.frame().block_number

    def lag(message: Message) -> None:
        if message["params"][:1] == ["latest"]:
            message["params"][0] = hex(head - BEHIND)

    with node_in_front(anvil.url, lag) as url:
        settings = Settings(endpoint=(anvil.url, f"{url}/v3/project-key"))
        looking = Preflight(
            settings, NotImplemented, ServedFiles(Path("policy.toml"), Path("own.csv"))
        )
        looking._nodes(None)
    # Other tests move this chain's clock, of which the check warns as well.
    [behind] = [one for one in looking.findings if one.said.endswith(" blocks behind")]
    assert behind.level is Level.WARNING
    assert behind.said.startswith(f"{url} is ")
    assert not any("project-key" in one.said for one in looking.findings)


def preflight_of(settings: Settings) -> Preflight:
    return Preflight(settings, NotImplemented, ServedFiles(Path("policy.toml"), Path("own.csv")))


def of_device(settings: Settings) -> tuple[Level, str]:
    looking = preflight_of(settings)
    looking._add("device", looking._device)
    [found] = looking.findings
    return found.level, found.said


def test_a_device_is_looked_at_before_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    assert of_device(Settings()) == (Level.OK, "training is on the processor")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    level, said = of_device(Settings(device="cuda"))
    assert level is Level.PROBLEM
    assert "finds no CUDA device here: set device to cpu or auto" in said


@pytest.mark.parametrize(
    ("stands_in", "level", "said"),
    [
        ("cpu:0", Level.OK, "on cpu:0 two small networks kept what sound rests on: clipped in one"),
        ("meta", Level.PROBLEM, "device meta: privacy mode sound is not served there with any"),
    ],
)
def test_what_privacy_rests_on_is_tried_on_the_device(
    monkeypatch: pytest.MonkeyPatch, stands_in: str, level: Level, said: str
) -> None:
    """No GPU need be here: the processor under another name, and a device that computes nothing,
    stand in for one."""
    monkeypatch.setattr(preflight, "resolved", lambda _: stands_in)
    found = of_device(Settings(device="cuda"))
    assert found[0] is level
    assert found[1].startswith(said)


def test_who_has_no_endpoint_hears_what_rounds_cost_without() -> None:
    """A provider followed the documents, and paid for each step of a round by itself."""
    told = "none, since listen is empty: where no other member of a request has one either, each"
    [found] = preflight_of(Settings())._endpoint()
    assert (found.level, found.said[: len(told)]) == (Level.WARNING, told)
    settings = Settings(listen="0.0.0.0:8100", advertise="http://alice.example.org:8100")
    [found] = preflight_of(settings)._endpoint()
    assert found.level is Level.OK
    assert found.said.endswith("as http://alice.example.org:8100")
