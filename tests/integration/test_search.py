"""Daemons as processes that find one another, and requesters that find them over HTTP."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from fedpact.audit import audit
from fedpact.chain.bindings.events import RetrievalRecorded
from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.demo.network import DemoNetwork, running_network
from fedpact.demo.searchable import SearchableProvider, publish_providers, serve, wait_until_joined
from fedpact.errors import InvalidInput, SearchFailed
from fedpact.requester.provider_search import Searcher, query_of, row
from fedpact.requester.requester import specification_of
from fedpact.retrieval.search_api import SearchAnswer, SearchBody
from fedpact.retrieval.search_record import RetrievalRecord
from fedpact.retrieval.signature import support_weighted_jaccard
from fedpact.retrieval.signing import NONCE_BYTES, sign_search
from fedpact.types.cid import Cid
from fedpact.types.distance import Distance
from tests.support.waiting import wait_until

TOPICS = {
    "sports/hockey": "hockey goal ice referee penalty season puck coach stadium",
    "security/ciphers": "cipher key encryption chip escrow secret wiretap agency clipper",
    "machines/turbines": "turbine blade bearing vibration sensor engine oil failure rotor",
    "trade/grain": "wheat grain harvest export tonnes crop barley corn shipment",
    "sports/football": "football goal season referee penalty coach stadium striker keeper",
}
DOCUMENTS = 100


@dataclass
class World:
    network: DemoNetwork
    providers: list[SearchableProvider]
    requester: AccountKeys
    searcher: Searcher

    def named(self, category: str) -> SearchableProvider:
        return next(one for one in self.providers if one.category == category)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    generator = np.random.default_rng(3)
    texts = {
        category.replace("/", "-"): (
            category,
            [" ".join(generator.choice(words.split(), 6)) + f" n{n}" for n in range(DOCUMENTS)],
        )
        for category, words in TOPICS.items()
    }
    folder = tmp_path_factory.mktemp("search")
    with running_network(folder) as (network, registrar):
        providers = publish_providers(network, registrar, texts)
        requester = network.account("requester")
        network.register(registrar, requester, 1)
        for one in providers:
            serve(network, one)
        network.wait_until_serving()
        wait_until_joined(providers, len(providers))
        searcher = Searcher(network.client, network.store, requester)
        yield World(network, providers, requester, searcher)
        searcher.close()


def test_a_search_by_words_finds_the_provider_of_the_topic_and_proves_it(world: World) -> None:
    for provider in world.providers[:4]:
        words = TOPICS[provider.category].split()[:4]
        for entry in (None, world.providers[0].url, world.providers[3].url):
            found, record = world.searcher.search(query_of(words), want=3, at=entry)
            assert found[0].account == provider.keys.address
            assert found[0].category_proven
            assert found[0].profile.details.price == "5"
            assert found[0].likeness > 0.05
            assert record.accounts == tuple(one.account for one in found)


def test_a_flooded_search_finds_the_provider_of_the_topic_and_proves_it(world: World) -> None:
    for provider in world.providers[:2]:
        words = TOPICS[provider.category].split()[:4]
        at = world.providers[3].url
        found, record = world.searcher.search(query_of(words), want=3, at=at, flood=True)
        assert found[0].account == provider.keys.address
        assert record.accounts == tuple(one.account for one in found)
        assert record.messages >= 2 * (len(world.providers) - 1)  # all have been asked


def test_a_search_by_category_leaves_all_others_out(world: World) -> None:
    found, _ = world.searcher.search(query_of((), "sports"), "sports", want=5)
    assert {one.profile.details.categories for one in found} == {
        ("sports/hockey",),
        ("sports/football",),
    }
    found, _ = world.searcher.search(query_of(("goal",), "sports/hockey"), "sports/hockey")
    assert [one.profile.details.categories for one in found] == [("sports/hockey",)]


def test_a_search_by_equation_1_ranks_by_the_round_trip_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(1 - support-weighted Jaccard) * ln(ms); a daemon that does not answer is left out."""
    query = query_of(("goal", "wheat", "turbine", "cipher"))
    by_likeness, _ = world.searcher.search(query, want=5)
    near, far, gone = by_likeness[1], by_likeness[0], by_likeness[2]
    trips = {one.profile.details.endpoint: 200.0 for one in by_likeness}
    trips |= {near.profile.details.endpoint: 20.0, far.profile.details.endpoint: 30_000.0}
    real = world.searcher._round_trip(near.profile.details.endpoint)
    assert real is not None
    assert 0 < real < 2_000
    assert world.searcher._round_trip("http://127.0.0.1:1") is None
    monkeypatch.setattr(
        world.searcher,
        "_round_trip",
        lambda at: None if at == gone.profile.details.endpoint else trips[at],
    )
    found, record = world.searcher.search(query, want=5, distance=Distance.PAPER)
    assert found[0].account == near.account
    assert found[-1].account == far.account
    assert gone.account not in [one.account for one in found]
    assert record.accounts == tuple(one.account for one in found)
    shared = 1 - support_weighted_jaccard(query, near.profile.record.signature)
    assert found[0].distance == pytest.approx(shared * math.log(20.0))
    assert row(found[0])["distance"] == round(found[0].distance or 0.0, 4)
    assert "distance" not in row(near)


def body(world: World, **changes: object) -> SearchBody:
    query = query_of(["hockey", "ice"])
    options = {"timestamp": int(time.time()), "nonce": np.random.default_rng().bytes(NONCE_BYTES)}
    deployment = changes.pop("deployment", world.network.client.deployment)
    signed = sign_search(
        world.requester,
        deployment,
        query,
        "",
        **{**options, **changes},  # type: ignore[arg-type]
    )
    return SearchBody(query=query.encode().hex(), want=5, envelope=signed.encode().hex())


def refused(world: World, asked: SearchBody) -> tuple[int, str]:
    url = world.providers[0].url + "/retrieval/search"
    answer = httpx.post(url, json=asked.model_dump(), trust_env=False)
    return answer.status_code, answer.json()["reason"]


def test_a_daemon_refuses_unsigned_expired_replayed_and_foreign_messages_and_keeps_running(
    world: World,
) -> None:
    good = body(world)
    url = world.providers[0].url + "/retrieval/search"
    answer = httpx.post(url, json=good.model_dump(), trust_env=False)
    assert SearchAnswer.model_validate_json(answer.content).matches
    assert refused(world, good) == (409, "replayed")
    assert refused(world, good.model_copy(update={"envelope": ""})) == (401, "unsigned")
    assert refused(world, body(world, timestamp=int(time.time()) - 3600)) == (401, "expired")
    late = body(world, timestamp=int(time.time()) + 3600)
    assert refused(world, late) == (401, "from-the-future")
    other = replace(world.network.client.deployment, genesis_hash="0x" + "ab" * 32)
    assert refused(world, body(world, deployment=other)) == (403, "foreign-deployment")
    stranger = replace(world, requester=world.network.account(f"stranger-{time.time_ns()}"))
    assert refused(world, body(stranger)) == (403, "no-participant")
    found, _ = world.searcher.search(query_of(["wheat", "grain"]), at=world.providers[0].url)
    assert found[0].account == world.named("trade/grain").keys.address
    world.network.check_daemons()


def test_a_search_without_answers_says_so(world: World) -> None:
    with pytest.raises(SearchFailed, match=r"127\.0\.0\.1:1"):
        world.searcher.search(query_of(["hockey"]), at="http://127.0.0.1:1")
    with pytest.raises(InvalidInput, match="nothing to search for"):
        query_of()


def test_those_found_are_invited_others_decline_and_the_search_is_on_record(
    world: World, tmp_path: Path
) -> None:
    network = world.network
    config = tmp_path / "requester.toml"
    config.write_text(network.settings("requester", 0.1))
    found_file = tmp_path / "found.json"

    def fedpact(*arguments: str) -> str:
        command = [sys.executable, "-m", "fedpact", "--config", str(config), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    shown = json.loads(
        fedpact("search", "--category", "sports", "--terms", "goal season", "--want", "2",
                "--output", str(found_file), "--json")
    )  # fmt: skip
    assert {row["categories"][0] for row in shown} == {"sports/hockey", "sports/football"}
    assert all(row["category_proven"] and row["on_chain"] for row in shown)
    record = RetrievalRecord.read(found_file)
    draft = {
        "title": "two classes",
        "category": "sports",
        "labels": ["0", "1"],
        "features": {"shape": [2]},
        "family": {"name": "softmax-regression"},
        "local": {"steps": 1, "learning_rate": 0.1},
        "rounds": 1,
        "min_providers": 2,
        "max_providers": 2,
        "score": "model",
        "max_error": 9000,
        "privacy": {"mode": "none"},
    }
    (tmp_path / "draft.json").write_text(json.dumps(draft))
    (tmp_path / "held-out.csv").write_text("a,b,label\n" + "0.1,0.2,0\n0.3,0.4,1\n" * 8)
    created = json.loads(
        fedpact("request", "create", str(tmp_path / "draft.json"), "--evaluation",
                str(tmp_path / "held-out.csv"), "--pay", "1 ether", "--from-search",
                str(found_file), "--json")
    )  # fmt: skip
    request = created["request"]
    assert isinstance(network.client, ChainClient)
    spec = specification_of(network.client, network.store, request)
    assert set(spec.invited) == set(record.accounts)
    grain = world.named("trade/grain")
    log = network.folder / f"{grain.name}.log"
    declined = f"request {request}: declined: others are invited"
    wait_until(lambda: declined in log.read_text(), log.read_text)
    [noted] = [
        one for one in network.client.request_events(request) if isinstance(one, RetrievalRecorded)
    ]
    assert noted.digest == Cid.of(record.encode()).digest
    audited = {one.name: one for one in audit(network.client, network.store, request).items}
    assert audited["retrieval_record"].detail.startswith("found 2 in ")


def test_a_daemon_that_is_killed_is_not_found_any_more(world: World) -> None:
    gone = world.named("machines/turbines")
    process = world.network.daemons[world.network.names.index(gone.name)]
    process.kill()
    process.wait()
    words = TOPICS["machines/turbines"].split()
    found, _ = world.searcher.search(query_of(words), want=3, at=world.providers[0].url)
    assert gone.keys.address not in [one.account for one in found]
