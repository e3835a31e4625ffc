"""Milliseconds of a search over real daemons on one machine, over HTTP: docs/results/lookup.json.

    FEDPACT_DATA=... python -m benchmarks.lookup --providers 50 --json docs/results/lookup.json

Each provider is `fedpact provider serve` as a process of its own, with a published, noised profile
of 20 Newsgroups' posts about one group; a chain (Anvil) and a content folder serve them all. A
search enters at each daemon in turn. Timed is what the requester waits for: from the signed request
sent to the answer read. Searching and being searched share the machine's cores.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from fedpact.data.newsgroups import newsgroups
from fedpact.demo.network import running_network
from fedpact.demo.searchable import publish_providers, serve, wait_until_settled
from fedpact.requester.provider_search import Searcher, ask, query_of
from fedpact.retrieval.search_api import SearchBody
from fedpact.retrieval.signing import NONCE_BYTES, sign_search
from tests.support.processes import executed

DOCUMENTS = 300
POLL_SECONDS = 5.0
TARGET_MS = 150.0
WANT = 10
WORDS = {
    "rec.sport.hockey": "hockey playoffs goal",
    "sci.crypt": "encryption clipper key",
    "sci.space": "orbit shuttle launch",
    "rec.autos": "engine car dealer",
    "comp.graphics": "image polygon rendering",
    "alt.atheism": "atheism religion belief",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--providers", type=int, default=50)
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fedpact-bench-") as folder:
        result = measured(Path(folder), arguments.providers, arguments.searches)
    text = json.dumps(result, indent=2) + "\n"
    print(text, end="")
    if arguments.json is not None:
        arguments.json.write_text(text)


def measured(folder: Path, providers: int, searches: int) -> dict[str, Any]:
    """Times of `searches` searches over `providers` daemons."""
    source = newsgroups()
    generator = np.random.default_rng(0)
    texts = {}
    for number in range(providers):
        group = number % len(source.labels)
        rows = generator.choice(np.flatnonzero(source.y_train == group), DOCUMENTS, replace=False)
        documents = [source.train[row] for row in rows.tolist()]
        texts[f"provider-{number}"] = (source.labels[group], documents)
    with running_network(folder) as (network, registrar):
        network.start_process = executed  # their memory is what a provider's daemon takes
        served = publish_providers(network, registrar, texts)
        requester = network.account("requester")
        network.register(registrar, requester, 1)
        for one in served:
            serve(network, one, POLL_SECONDS)
        network.wait_until_serving(600.0)
        sizes = wait_until_settled(served)
        searcher = Searcher(network.client, network.store, requester)
        asked = {
            group: words
            for group, words in WORDS.items()
            if any(one.category == group for one in served)
        }
        found = {group: searcher.search(query_of(asked[group].split())) for group in asked}
        load = os.getloadavg()[0]
        times, messages, hops, matches = [], [], [], []
        with httpx.Client(timeout=30.0, trust_env=False) as client:
            for number in range(searches):
                query = query_of(list(asked.values())[number % len(asked)].split())
                signed = sign_search(
                    requester,
                    network.deployment,
                    query,
                    "",
                    timestamp=int(time.time()),
                    nonce=os.urandom(NONCE_BYTES),
                )
                body = SearchBody(
                    query=query.encode().hex(), want=WANT, envelope=signed.encode().hex()
                )
                entry = served[number % providers].url
                began = time.perf_counter()
                answer = ask(client, entry, body)
                times.append(1000 * (time.perf_counter() - began))
                messages.append(answer.messages)
                hops.append(answer.hops)
                matches.append(len(answer.matches))
        searcher.close()
        memory = [_resident_mb(process.pid) for process in network.daemons]
        topics = [
            bool(candidates) and candidates[0].profile.details.categories[0] == group
            for group, (candidates, _) in found.items()
        ]
    cuts = statistics.quantiles(times, n=100)
    return {
        "providers": providers,
        "searches": searches,
        "milliseconds": {
            "p50": round(cuts[49], 1),
            "p95": round(cuts[94], 1),
            "p99": round(cuts[98], 1),
            "target_p95": TARGET_MS,
        },
        "community_mean": round(statistics.mean(sizes), 1),
        "messages_mean": round(statistics.mean(messages), 1),
        "matches_mean": round(statistics.mean(matches), 1),
        "hops_mean": round(statistics.mean(hops), 2),
        "best_is_of_the_topic": f"{sum(topics)} of {len(topics)}",
        "daemon_mb_mean": round(statistics.mean(memory), 1),
        "machine": {
            "processors": os.cpu_count(),
            "platform": platform.platform(),
            "load_before": round(load, 1),
        },
    }


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
