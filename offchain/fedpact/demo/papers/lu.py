"""Lu et al. 2020 whole: retrieval, Algorithm 1, proof of training quality, and a cached result.

Every step runs through chain, content store and daemons as processes, on made-up status logs
(`fedpact.demo.papers.logs`). Privacy is the paper's own (mode `paper`): its epsilon is a claim.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fedpact.audit import Verdict, audit
from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.data.dataset import Dataset
from fedpact.data.documents import documents
from fedpact.data.schema_draft import as_toml, propose
from fedpact.demo.drafts import WINDOWS
from fedpact.demo.fleet import preload
from fedpact.demo.network import DemoNetwork
from fedpact.demo.options import PaperOptions
from fedpact.demo.papers import logs
from fedpact.demo.papers.quality import show_rounds, show_transactions
from fedpact.demo.papers.story import PaperStory, short, table
from fedpact.demo.progress import show_progress
from fedpact.demo.searchable import (
    SearchableProvider,
    publish_profile,
    serve,
    wait_until_joined,
)
from fedpact.provider.local_profile import LocalProfile
from fedpact.requester.answer import Answers
from fedpact.requester.draft import Draft
from fedpact.requester.follow import RequestProgress
from fedpact.requester.provider_search import Searcher, query_of
from fedpact.requester.request_view import look
from fedpact.requester.requester import Requester
from fedpact.retrieval.codebook import standard
from fedpact.retrieval.ids import ID_BITS, node_id, xor_distance
from fedpact.retrieval.search_record import RetrievalRecord
from fedpact.types.distance import Distance
from fedpact.types.schema import RECORD, schema_file
from fedpact.types.specification import Specification

CATEGORY = "logs/turbines"
ELSEWHERE = ("logs/conveyors", "logs/forklifts")
"""Categories of providers that should not be found."""
ASKED = ("turbine", "rotor", "vibration", "leak", "controller")
DOCUMENTS, EVALUATION, QUERIES = 240, 300, 30
QUERIES_SEED, FRESH_SEED, EVALUATION_SEED = 1_001, 1_002, 2_000
"""Beside the providers', which count from 0."""
ID_SHOWN = 12
"""Bits of an id."""
EPSILON, SENSITIVITY = 10.0, 1.0
"""The paper's claim, and equation 5's s, which it bounds for nothing."""
TARGET = 300
"""Error in 1/10,000 at which the requester is satisfied: Algorithm 1's threshold, 0.97."""
VOTE_BAND = 1_000
"""In 1/10,000, the "certain range" of III-D.2: members measure on different records."""
PAYMENT_WEI, PRICE_WEI = 10**18, 10**16
"""The paper returns a cached result for nothing; a daemon seals its key only for more than the
transactions cost that this takes."""
POLL_SECONDS = 0.1
POLICY = """\
categories = ["{category}"]
accept_paper_privacy = true
accept_unanimous = true
profile_without_privacy = true # made-up texts: key terms are published as the paper has them
submit_after = 0.0
min_samples = 20
"""
LAPLACE = {
    "mode": "paper",
    "mechanism": "laplace",
    "epsilon": EPSILON,
    "sensitivity": SENSITIVITY,
}
BOOSTED = {
    "name": "boosted-trees",
    "parameters": {"depth": 3, "trees": 3, "features": 0.5, "terms": " ".join(logs.TERMS)},
}
FOREST = {
    "name": "random-forest",
    "parameters": {"depth": 5, "trees": 12, "features": 0.5, "terms": " ".join(logs.TERMS)},
}


@dataclass(frozen=True)
class Parties:
    """Who takes part beside the providers."""

    registrar: AccountKeys
    requester: AccountKeys
    second: AccountKeys
    """Who asks for the same later."""
    auditor: AccountKeys


class LuDemo:
    """One run of the story."""

    def __init__(
        self, network: DemoNetwork, story: PaperStory, registrar: AccountKeys, options: PaperOptions
    ) -> None:
        assert isinstance(network.client, ChainClient)
        preload("sklearn.ensemble", "sklearn.tree", "wordfreq")
        self._network, self._client, self._story = network, network.client, story
        self._members, self._rounds = options.members, options.iterations
        self._seed = 10_000 * options.seed
        self._providers: list[SearchableProvider] = []
        accounts = [network.account(name) for name in ("requester", "second", "auditor")]
        for organisation, keys in enumerate(accounts, start=1):
            network.register(registrar, keys, organisation)
        self._parties = Parties(registrar, *accounts)
        self._queries = logs.write_queries(
            network.folder / "queries.txt", self._lines(QUERIES, QUERIES_SEED)
        )

    def run(self) -> None:
        """Raises FedpactError where a step is impossible; what merely fails is in the story."""
        self._join()
        requester = self._requester(self._parties.requester)
        record = self._retrieve(requester)
        draft = self._draft()
        resold = draft.changed(resale={"price": PRICE_WEI}).publishing(self._queries)
        self._story.title("Algorithm 1 in parallel, boosted trees, proof of training quality")
        first = self._learn(requester, resold, record)
        self._story.step(
            "III-C, step 5",
            f"D^T: the {QUERIES} queries were published with the request; each member trained on"
            " them too, each with the label of its own record that is most like it",
        )
        seen = look(self._client, first)
        show_transactions(self._story, seen, requester.specification(first))
        self._answer(requester, first)
        self._story.title("Algorithm 1 in sequence: each continues from the model it received")
        sequential = {"name": "algorithm-one", "parameters": {"reading": "sequential"}}
        self._learn(requester, draft.changed(strategy=sequential, rounds=self._members), record)
        self._story.title("The same with random forests")
        fields: dict[str, Any] = {"family": FOREST, "strategy": {"name": "fedavg"}, "rounds": 1}
        self._learn(requester, draft.changed(**fields), record)
        self._ask_again(requester, first, resold)

    # ------------------------------------------------------------------ III-A to III-C, steps 1, 2

    def _join(self) -> None:
        story, network = self._story, self._network
        story.title("Providers: local clustering, profiles, ids, registration")
        shown = table(
            "What each provider publishes",
            *("provider", "category", "texts", "clusters", "silhouette", "id begins"),
        )
        categories = [CATEGORY] * self._members + list(ELSEWHERE)
        for number, category in enumerate(categories):
            one, built = self._publish(number, category)
            self._providers.append(one)
            shown.add_row(*_published(one, built))
        for one in self._providers:
            serve(network, one, POLL_SECONDS)
        network.wait_until_serving()
        wait_until_joined(self._providers, len(self._providers))
        story.show(shown)
        story.step(
            "III-A, def. 1",
            "texts became weighted context graphs and were clustered by Jaccard similarity"
            " (k-medoids: Jaccard distance has no mean)",
        )
        story.step(
            "III-C, step 1",
            "ids follow from the published key terms: similar data, longer common prefix",
        )
        story.step(
            "III-C, step 2",
            f"{len(self._providers)} keys and profiles registered on chain, with the registrar's"
            " vouchers; a profile's attributes are in a Merkle tree (III-B)",
        )

    def _publish(self, number: int, category: str) -> tuple[SearchableProvider, LocalProfile]:
        network, name = self._network, f"provider-{number + 1}"
        keys = network.account(name)
        network.register(self._parties.registrar, keys, 100 + number)
        rows = logs.lines(category, DOCUMENTS, self._seed + number)
        data = logs.write_table(network.folder / f"{name}.csv", rows)
        schema = propose(data, category, unit=RECORD)
        schema_file(data).write_text(as_toml(schema))
        policy = POLICY.format(category=category)
        return publish_profile(network, keys, name, schema, data, policy)

    # ------------------------------------------------------------------ III-B, III-C, steps 3, 4

    def _retrieve(self, requester: Requester) -> RetrievalRecord:
        story = self._story
        story.title("The request, and the providers that it concerns")
        offers = requester.offers(self._draft(), self._queries)
        story.expect(not offers, "a result was on offer before anybody had made one")
        story.step("II-B, III-C 4", f"looked for an earlier result on chain: {len(offers)} found")
        searcher = Searcher(self._client, self._network.store, requester.keys)
        try:
            query = query_of(ASKED, CATEGORY)
            found, record = searcher.search(
                query, CATEGORY, want=self._members, distance=Distance.PAPER
            )
        finally:
            searcher.close()
        story.step(
            "III-C, step 3",
            f"signed search (EIP-712: requester, category, queries, time) for {CATEGORY!r} entered"
            f" at {record.entry}",
        )
        book, begin = standard(), None
        shown = table(
            "Found",
            *("provider", "Jaccard similarity", "distance (eq. 1)", "XOR distance (eq. 2)"),
        )
        for one in found:
            place = node_id(one.profile.record, book)
            begin = place if begin is None else begin
            far = xor_distance(begin, place)
            shown.add_row(
                short(one.account),
                f"{one.likeness:.3f}",
                f"2^{far.bit_length() - 1}" if far else "0",
            )
        story.show(shown)
        story.step(
            "III-B, eq. 1, 2",
            "ranked by the data's Jaccard distance to the query times the log of the round trip to"
            " the daemon; XOR distances of the ids are to the first of them",
        )
        story.step(
            "III-B",
            f"the entry node's lookup took {record.messages} messages; the {len(found)} found are"
            " the committee",
        )
        wanted = {one.keys.address for one in self._providers if one.category == CATEGORY}
        story.expect({one.account for one in found} == wanted, "the search found other providers")
        return record

    def _draft(self) -> Draft:
        return Draft(
            {
                "title": "What is wrong with a turbine, from its log",
                "category": CATEGORY,
                "labels": list(logs.LABELS),
                "features": {"kind": "text", "shape": []},
                "family": BOOSTED,
                "strategy": {"name": "algorithm-one"},
                "aggregation": {"name": "union"},
                "local": {"construction_seed": 0},
                "rounds": self._rounds,
                "min_providers": self._members,
                "max_providers": self._members,
                "score": "model",
                "judged_on": "own-records",
                "vote_band": VOTE_BAND,
                "max_error": 9_000,
                "target": TARGET,
                "leader_rule": "poq",
                "approval_rule": "unanimous",
                "privacy": LAPLACE,
                "windows": {**WINDOWS, "submit": 600, "commit": 300},
                "auditors": [self._parties.auditor.address],
                "terms": {"dispute_window": 30},
            }
        )

    # ------------------------------------------------------------------ III-D, step 5

    def _learn(self, requester: Requester, draft: Draft, record: RetrievalRecord) -> int:
        """One request from its creation to its audit."""
        story, network = self._story, self._network
        evaluation = self._evaluation()
        request = requester.create(
            draft, evaluation, PAYMENT_WEI, queries=self._queries, retrieval=record
        )
        spec = requester.specification(request)
        story.step(
            "III-C, step 3",
            f"request {request}: signed, with the digest of {QUERIES} queries F_x and"
            f" {len(spec.invited)} invited; {PAYMENT_WEI / 1e18:g} ether in escrow",
        )
        with show_progress(story.console, spec.rounds) as show:

            def report(progress: RequestProgress) -> None:
                network.check_daemons()
                show(progress)

            end = requester.follow(request, report, poll_interval=POLL_SECONDS)
        story.expect(end.model, f"request {request} ended without a model")
        if not story.audits:
            self._tell(spec)
        show_rounds(story, look(self._client, request), spec)
        self._audit(request)
        return request

    def _audit(self, request: int) -> None:
        story = self._story
        given = (self._client, self._network.store, request, self._parties.auditor)
        story.audited(audit(*given))
        items = story.audits[-1].items
        holds = sum(item.verdict is Verdict.HOLDS for item in items)
        story.step(
            "III-C, step 6",
            f"audit of request {request}, from chain and store alone: {holds} of {len(items)}"
            " items hold",
        )

    def _tell(self, spec: Specification) -> None:
        story = self._story
        story.step(
            "alg. 1, lines 3, 4",
            f"each member added Laplace(s/epsilon) = Laplace({SENSITIVITY / EPSILON:g}) to its"
            " graphs' vectors, once, and grew its trees from them",
        )
        story.step(
            "eq. 4, 5",
            f"the same noise on every leaf value it sent; s = {SENSITIVITY:g} is given by the"
            " requester, since the paper bounds it for nothing",
        )
        story.step("eq. 3", f"privacy: {spec.privacy.statement}")

    def _answer(self, requester: Requester, request: int) -> None:
        story = self._story
        requester.fetch(request)
        asked = self._lines(QUERIES, QUERIES_SEED)
        fresh = self._lines(QUERIES, FRESH_SEED)
        path = logs.write_queries(self._network.folder / "fresh.txt", fresh)
        known, new = requester.answer(request, self._queries), requester.answer(request, path)
        story.step(
            "II-B, M(Req)",
            f"the requester answers its {QUERIES} queries with the model: {_right(known, asked)}"
            f" right; {_right(new, fresh)} of {QUERIES} fresh ones",
        )
        story.figures["right"] = {"queries": _right(known, asked), "fresh": _right(new, fresh)}

    # ------------------------------------------------------------------ the cache

    def _ask_again(self, requester: Requester, request: int, draft: Draft) -> None:
        story = self._story
        story.title("The next requester asks the same")
        second = self._requester(self._parties.second)
        offers = second.offers(draft, self._queries)
        story.step(
            "II-B, III-C 4",
            f"the same query key is on chain: {len(offers)} result cached, request"
            f" {offers[0].request_id}, error {(offers[0].error or 0) / 10_000:.4f},"
            f" price {offers[0].currency.text(offers[0].price)}",
        )
        second.buy(offers[0].request_id, PRICE_WEI)
        second.await_key(offers[0].request_id, poll_interval=POLL_SECONDS)
        fetched = second.fetch(offers[0].request_id)
        same = fetched.path.read_bytes() == requester.model_path(request).read_bytes()
        story.expect(same, "the cached model is not the one that was made")
        story.step(
            "III-C, step 5",
            "a member sealed the model's key to the second requester, which has the same model now"
            " without any training. The paper asks for nothing; here the price has to cover the gas"
            " of the members that seal",
        )
        self._audit(request)

    # ------------------------------------------------------------------ parts

    def _requester(self, keys: AccountKeys) -> Requester:
        network = self._network
        return Requester(self._client, network.store, keys, network.folder / "state")

    def _lines(self, count: int, seed: int) -> list[tuple[str, str]]:
        """Turbine logs of nobody's."""
        return logs.lines(CATEGORY, count, self._seed + seed)

    def _evaluation(self) -> Dataset:
        rows = self._lines(EVALUATION, EVALUATION_SEED)
        targets = np.array([logs.LABELS.index(label) for _, label in rows])
        return Dataset(documents([text for text, _ in rows]), targets, ())


def _published(one: SearchableProvider, built: LocalProfile) -> list[str]:
    """A row of the table of providers."""
    return [
        short(one.keys.address),
        one.category,
        str(DOCUMENTS),
        ", ".join(str(cluster.documents) for cluster in built.clusters),
        "-" if built.silhouette is None else f"{built.silhouette:.3f}",
        f"{node_id(one.profile.record, standard()):0{ID_BITS}b}"[:ID_SHOWN],
    ]


def _right(answers: Answers, rows: list[tuple[str, str]]) -> int:
    return sum(said == label for said, (_, label) in zip(answers.labels, rows, strict=True))
