"""A provider's node before and after its profile is published, without its daemon."""

import secrets
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.errors import SearchRefused
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.provider import profile, search_node
from fedpact.provider.policy import Policy
from fedpact.provider.profile import ProfileData
from fedpact.provider.search_node import FLOODS_AT_ONCE, SearchNode
from fedpact.retrieval import http
from fedpact.retrieval.flooding import FloodLimits
from fedpact.retrieval.http import OwnAddress
from fedpact.retrieval.messages import (
    Acknowledged,
    Announce,
    Lookup,
    Ping,
    Record,
    decode_reply,
    encode,
)
from fedpact.retrieval.search_api import SearchBody
from fedpact.retrieval.signing import NONCE_BYTES, sign_search
from fedpact.types.document import canonical_json
from tests.support.chain_request import deployed_contracts
from tests.support.waiting import PATIENCE


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


def test_floods_leave_workers_to_lookups(
    anvil: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four floods that met silent nodes held up all searches of a daemon."""
    monkeypatch.setattr(search_node, "FloodLimits", partial(FloodLimits, seconds=PATIENCE))
    monkeypatch.setattr(search_node, "ENTRY_NODES", 1)  # itself, the newest: it asks nobody to join
    store, registrar = EmbeddedStore(tmp_path / "content"), anvil.new_account()
    client = ChainClient.connect(anvil.url, deployed_contracts(anvil, registrar))
    silent = socket.create_server(("127.0.0.1", 0))

    def provider(endpoint: str) -> tuple[AccountKeys, Record]:
        keys = anvil.new_account()
        public = bytes(keys.encryption_key().public_key)
        client.registry.admit(registrar, keys.address, 1, public, bytes(32), b"r" * 32)
        data = ProfileData("text", "classification", ("ice",), ("a",), (b"ice",), (), (), 1)
        with Ledger(tmp_path / keys.address, b"k" * 32) as ledger:
            built = profile.build(data, ("words",), Policy(profile_without_privacy=True), ledger)
        one = profile.published(built, keys, endpoint, 0)
        profile.publish(client, store, keys, one)
        return keys, one.record

    _, neighbour = provider(f"http://127.0.0.1:{silent.getsockname()[1]}")
    keys, own = provider("")
    monkeypatch.setattr(http, "TIMEOUT_SECONDS", PATIENCE)
    monkeypatch.setattr(http, "WHOLE_SECONDS", PATIENCE)
    node = SearchNode(client, EmbeddedStore(tmp_path / "content"), keys.address, OwnAddress(""))
    node.step()
    node.message(encode(Announce(neighbour)))
    node._wait(0.1)
    assert node.about().members == 2

    def search(flood: bool) -> int:
        signed = sign_search(
            keys,
            client.deployment,
            own.signature,
            "",
            timestamp=int(time.time()),
            nonce=secrets.token_bytes(NONCE_BYTES),
        )
        body = SearchBody(
            query=own.signature.encode().hex(), want=2, envelope=signed.encode().hex(), flood=flood
        )
        return len(node.search(body).matches)

    with ThreadPoolExecutor() as threads:
        floods = [threads.submit(search, True) for _ in range(FLOODS_AT_ONCE)]
        held = [silent.accept()[0] for _ in floods]
        with pytest.raises(SearchRefused, match="too many floods"):
            search(True)
        looked_up = threads.submit(search, False)
        silent.accept()[0].close()
        assert looked_up.result(PATIENCE) == 1
        for one in held:
            one.close()
        assert [one.result(PATIENCE) for one in floods] == [1] * FLOODS_AT_ONCE
        again = threads.submit(search, True)
        silent.accept()[0].close()
        assert again.result(PATIENCE) == 1
    node.stop()
    silent.close()
