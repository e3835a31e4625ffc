"""Records requests of the first protocol for tests of their audit.

`python -m tests.vectors.first_protocol.record` plays them on a new Anvil and writes what a node and
a content store then hold.
"""

import base64
import gzip
import json
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fedpact.audit import audit
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.content.keys import delivery_key, seal
from fedpact.data.dataset import Dataset
from fedpact.requester import Requester
from fedpact.requester.search import query_of
from fedpact.retrieval.record import FoundProvider, RetrievalRecord
from fedpact.retrieval.signing import NONCE_BYTES, sign_search
from fedpact.types.scores import INVALID
from tests.support.committee import PAYMENT, Committee, Following, Market, open_market
from tests.support.node_proxy import node_in_front

OUTPUT = Path(__file__).parent / "deployment.json.gz"
PRICE = 10**16 + 1
EXAMPLES = 120
STATE = ("eth_call", "eth_getBalance", "eth_getCode")


def record_of(market: Market) -> RetrievalRecord:
    """A search that found all providers."""
    query, deployment = query_of(["hockey"]), market.client.deployment
    signed = sign_search(
        market.requester_keys,
        deployment,
        query,
        "sports",
        timestamp=int(time.time()),
        nonce=bytes(NONCE_BYTES),
    )
    accounts = [keys.address for keys in market.providers]
    found = tuple(FoundProvider(account=a, digest="ab" * 32, likeness=0.5) for a in accounts)
    return RetrievalRecord(
        deployment=deployment.fingerprint.hex(),
        envelope=signed.encode().hex(),
        query=query.encode().hex(),
        entry="http://127.0.0.1:1",
        messages=3,
        hops=1,
        found=found,
    )


def create(market: Market, **changes: Any) -> Committee:
    retrieval = record_of(market) if changes.pop("searched", False) else None
    draft = market.draft(**changes)
    made = market.requester.create(draft, market.evaluation, PAYMENT, retrieval=retrieval)
    return Committee(market, made)


def honest(market: Market) -> None:
    """Two rounds, found by a search; delivered, claimed, and sold to the auditor."""
    one = create(market, resale={"price": PRICE}, searched=True)
    with Following(market, one.request_id):
        one.join_and_start()
        one.play_round()
        one.play_round()
        one.deliver()
    one.claim_all()
    sell(market, one)


def sell(market: Market, one: Committee) -> None:
    buyer = Requester(market.client, market.store, market.auditor, market.folder / "state")
    client, state = market.client, one.state()
    buyer.buy(one.request_id)
    key = delivery_key(one.key, client.deployment.fingerprint, one.request_id, state.final_rounds)
    public = client.registry.participant(market.auditor.address).encryption_key
    sealed = seal(public, key, bytes(32))
    client.resale.seal(market.providers[0], one.request_id, 0, market.auditor.address, sealed)
    for seat in (0, 1):
        client.resale.claim(market.providers[seat], one.request_id, seat)


def faulty(market: Market) -> None:
    """Seat 1's model is nowhere, seat 2 votes far from what is so."""
    one = create(market, title="Faulty", rounds=1)
    with Following(market, one.request_id):
        one.join_and_start()
        one.play_round(
            publish=lambda seat: seat != 1,
            votes={2: lambda own: {s: v if v == INVALID else 0 for s, v in own.items()}},
        )
        if one.state().final_rounds:
            one.deliver()
    one.claim_all()


def colluding(market: Market) -> None:
    """All vote nothing but praise, and agree on a made-up model."""
    one = create(market, title="Collusion", rounds=1)

    def made_up(number: int) -> Any:
        model = one.history.model(number, 0)
        assert model is not None
        return {name: tensor + 1 for name, tensor in model.items()}

    def flatter(own: dict[int, int]) -> dict[int, int]:
        return dict.fromkeys(own, 0)

    one.replay.aggregate = made_up  # type: ignore[method-assign]
    with Following(market, one.request_id):
        one.join_and_start()
        one.play_round(votes=dict.fromkeys(range(3), flatter))
        one.deliver()


def cancelled(market: Market) -> None:
    one = create(market, title="Cancelled", rounds=1)
    market.requester.cancel(one.request_id)
    market.requester.refund(one.request_id)


def main() -> None:
    with TemporaryDirectory() as folder:
        devnet = Devnet.start(Path(folder))
        market = open_market(devnet, Path(folder))
        few = market.evaluation
        market.evaluation = Dataset(few.x[:EXAMPLES], few.y[:EXAMPLES], ())
        time.sleep(2)  # Tests of the audit move facts to the first block.
        for play in (honest, faulty, colluding, cancelled):
            play(market)
        market.client.rpc.call("evm_setIntervalMining", 0)
        facts = recorded(devnet.url, market)
        with OUTPUT.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
            packed.write(json.dumps(facts, sort_keys=True).encode())
        devnet.close()
    print(f"{OUTPUT}: {OUTPUT.stat().st_size} bytes")


def recorded(url: str, market: Market) -> dict[str, Any]:
    state: dict[str, Any] = {}

    def keep(message: dict[str, Any], result: Any) -> Any:
        if message["method"] in STATE:
            state[json.dumps([message["method"], *message["params"][:-1]])] = result
        return result

    rpc, deployment = market.client.rpc, market.client.deployment
    with node_in_front(url, told=keep) as proxy:
        client = ChainClient.connect(proxy, deployment)
        for request in range(1, client.market.request_count() + 1):
            for keys in (None, market.auditor, market.providers[1]):
                report = audit(client, market.store, request, keys)
                print(request, [f"{one.name}: {one.detail}" for one in report.failed])
                print("  ", [f"{one.name}: {one.detail}" for one in report.unavailable])
        client.close()
    head = int(rpc.call("eth_blockNumber"), 16)
    blocks = [rpc.call("eth_getBlockByNumber", hex(n), False) for n in range(head + 1)]
    kept = ("number", "hash", "parentHash", "timestamp")
    query = {"fromBlock": "0x0", "toBlock": hex(head), "address": [*deployment.contracts.values()]}
    hashes = [one for block in blocks for one in block["transactions"]]
    transactions = [rpc.call("eth_getTransactionByHash", one) for one in hashes]
    mine = ("hash", "from", "to", "input", "blockNumber", "nonce", "value")
    store = market.store
    return {
        "chain_id": client.chain_id,
        "deployment": asdict(deployment),
        "blocks": [{name: block[name] for name in kept} for block in blocks],
        "logs": rpc.call("eth_getLogs", query),
        "transactions": [
            {name: one[name] for name in mine}
            for one in transactions
            if one["to"] in {at.lower() for at in deployment.contracts.values()}
        ],
        "state": state,
        "content": [base64.b64encode(store.get(cid, 2**26)).decode() for cid in store.items()],
        "keys": {
            "auditor": secret(market.auditor),
            "member": secret(market.providers[1]),
            "requester": secret(market.requester_keys),
        },
    }


def secret(keys: AccountKeys) -> str:
    return bytes(keys.signer.key).hex()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
