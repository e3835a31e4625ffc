"""A block's header as its hash takes it."""

from typing import Any

import pytest

from fedpact.chain.devnet import Devnet
from fedpact.chain.failover import Nodes
from fedpact.chain.headers import encoded
from fedpact.errors import NodeUnreachable
from tests.support.chainkit import anvil_process


def latest(url: str) -> dict[str, Any]:
    found: dict[str, Any] = Nodes(url).call("eth_getBlockByNumber", "latest", False)
    return found


@pytest.mark.parametrize("fork", ["paris", "shanghai", "cancun"])
def test_headers_of_earlier_forks_have_fewer_fields(fork: str) -> None:
    with anvil_process("--hardfork", fork) as url:
        assert encoded(latest(url))[:1] == b"\xf9"


def test_the_header_has_the_blocks_randomness(anvil: Devnet) -> None:
    anvil.mine()
    block = latest(anvil.url)
    assert bytes.fromhex(block["mixHash"][2:]) in encoded(block)


def test_fields_that_do_not_have_the_hash_are_no_header(anvil: Devnet) -> None:
    block = latest(anvil.url)
    lacking = {name: value for name, value in block.items() if name != "requestsHash"}
    for changed in (lacking, block | {"gasUsed": "0x7"}, block | {"hash": "0x" + "07" * 32}):
        with pytest.raises(NodeUnreachable, match="do not have its hash"):
            encoded(changed)
    for broken in (block | {"number": "twelve"}, block | {"miner": 7}):
        with pytest.raises(NodeUnreachable, match="cannot be read"):
            encoded(broken)
