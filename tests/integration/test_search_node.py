"""A provider's node before and after its profile is published, without its daemon."""

from pathlib import Path

import pytest

from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.content.embedded import EmbeddedStore
from fedpact.errors import SearchRefused
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.provider import profile
from fedpact.provider.policy import Policy
from fedpact.provider.profile import ProfileData
from fedpact.provider.searching import SearchNode
from fedpact.retrieval.http import OwnAddress
from fedpact.retrieval.messages import Acknowledged, Lookup, Ping, decode_reply, encode
from fedpact.types.document import canonical_json
from tests.support.chain_request import deployed_contracts


def test_a_node_answers_once_its_profile_is_published_and_follows_it(
    anvil: Devnet, tmp_path: Path
) -> None:
    store = EmbeddedStore(tmp_path / "content")
    keys, registrar = anvil.new_account(), anvil.new_account()
    client = ChainClient.connect(anvil.url, deployed_contracts(anvil, registrar))
    placeholder = store.put(canonical_json({"version": 1, "categories": ["words"]})).digest
    public = bytes(keys.encryption_key().public_key)
    client.registry.admit(registrar, keys.address, 1, public, placeholder, b"r" * 32)
    own = EmbeddedStore(tmp_path / "content")
    node = SearchNode(client, own, keys.address, OwnAddress(""), chain_seconds=0.0)
    node.step()
    assert node.profile() is None
    assert node.about().members == 0
    with pytest.raises(SearchRefused, match="no profile yet"):
        node.message(encode(Ping()))

    for word in ("hockey", "cipher"):
        data = ProfileData("text", "classification", (word,), ("a",), (word.encode(),), (), (), 1)
        with Ledger(tmp_path / "ledger", b"k" * 32) as ledger:
            built = profile.build(data, ("words",), Policy(profile_without_privacy=True), ledger)
        one = profile.published(built, keys, "", 0)
        profile.publish(client, store, keys, one)
        node.step()
        assert node.profile() == one.record.document
        assert node.about().members == 1
        reply = decode_reply(node.message(encode(Ping())))
        assert reply == Acknowledged(one.record, True)
        with pytest.raises(SearchRefused, match="not signed"):
            node.message(encode(Lookup(one.record.signature, 3)))
    # An idle daemon that listened made 1,140 calls an hour, 240 of them here.
    node._chain_seconds = 180.0
    [asked] = client.rpc.nodes
    before = asked.calls.total()
    node.step()
    assert asked.calls.total() == before
    node.stop()
