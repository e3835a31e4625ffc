"""What `fedpact provider check` says of nodes."""

from contextlib import closing
from pathlib import Path

from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.provider.preflight import Preflight
from fedpact.provider.serve import Offer
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
        preflight = Preflight(settings, NotImplemented, Offer(Path("policy.toml"), Path("own.csv")))
        preflight._nodes(None)
    # Other tests move this chain's clock, of which the check warns as well.
    [behind] = [one for one in preflight.findings if one.said.endswith(" blocks behind")]
    assert behind.level is Level.WARNING
    assert behind.said.startswith(f"{url} is ")
    assert not any("project-key" in one.said for one in preflight.findings)
