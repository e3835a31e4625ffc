"""Wang et al. 2024 whole: a pool of which some are drawn a round, DLMU and DDP-SGD, leaders by
reputation, and a second request that continues the first one's model.

Every step runs through chain, content store and daemons as processes. Privacy is the paper's own
(mode `paper`): its epsilon is a claim.
"""

from collections import Counter
from math import exp
from pathlib import Path
from typing import Any

from fedpact.audit import Verdict, audit
from fedpact.chain.bindings.events import Paid, RoundFinalised
from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.demo.data import DemoData, prepare
from fedpact.demo.fleet import preload
from fedpact.demo.network import DemoNetwork
from fedpact.demo.options import DemoOptions, PaperOptions
from fedpact.demo.papers.story import PaperStory, short, table
from fedpact.demo.parties import admit, poll_seconds, serve, wait_for_daemons
from fedpact.demo.progress import show_progress
from fedpact.learning.artefact import decode
from fedpact.learning.families import family_of, represented
from fedpact.privacy.claimed_epsilon import claimed_multiplier
from fedpact.requester.draft import Draft
from fedpact.requester.fetching import RoundLook, round_of
from fedpact.requester.follow import RequestProgress
from fedpact.requester.request_view import RequestLook, look
from fedpact.requester.requester import Requester
from fedpact.simulation.request import quality
from fedpact.types.privacy import PaperMechanism
from fedpact.types.requests import PoolMember, seats_of
from fedpact.types.scores import INVALID, MAX_SCORE
from fedpact.types.specification import Specification

EPOCHS, BATCH, RATE, MOMENTUM, TAU, EPSILON = 10, 32, 0.001, 0.8, 0.8, 10.0
"""Sections 5.1 (E, B, eta, momentum) and 4.1 (tau); the largest epsilon of section 5.3."""
TUNED_RATE = 0.1
"""For the second request: section 5.1 tunes the rate for each data set, and names none."""
IMAGES = BATCH
"""Of a provider, at most. From a pool as large as the paper's each has half of that; a smaller one
shows the same, and need not train longer."""
PAYMENT_WEI = 10**18
SUBMIT_SECONDS = 600
"""A longer window: members that are not drawn look at the chain less often."""


def demo_options(options: PaperOptions) -> DemoOptions:
    """The network and data of the story."""
    return DemoOptions(
        providers=options.members,
        cohort=options.drawn,
        rounds=options.iterations,
        partition="class2",
        family="mlp",
        strategy=f"dlmu:tau={TAU}",
        aggregation="sample-mean",
        epsilon=EPSILON,
        mechanism=PaperMechanism.DDP_SGD,
        store=options.store,
        seed=options.seed,
    )


class WangDemo:
    """One run of the story."""

    def __init__(
        self, network: DemoNetwork, story: PaperStory, registrar: AccountKeys, options: PaperOptions
    ) -> None:
        assert isinstance(network.client, ChainClient)
        self._network, self._client, self._story = network, network.client, story
        preload("fedpact.learning.ddp_sgd")
        self._options = demo_options(options)
        self._data: DemoData = prepare(self._options, network.folder, IMAGES)
        requester, self._auditor, self._providers = admit(
            network, registrar, self._options.providers
        )
        assert isinstance(requester, Requester)
        self._requester = requester

    def run(self) -> None:
        """Raises FedpactError where a step is impossible; what merely fails is in the story."""
        story, options = self._story, self._options
        story.title("Participants")
        for number in range(options.providers):
            serve(self._network, self._data, options, number)
        wait_for_daemons(self._network, options)
        story.step(
            "3.2, stage 1",
            f"{options.providers} providers and a requester made their own keys and registered on"
            f" chain; each provider is a process with {min(self._data.samples)} to"
            f" {max(self._data.samples)} images of two digits (section 5.1, class(2))",
        )
        story.title(f"A request with the paper's settings: eta = {RATE}, momentum {MOMENTUM}")
        draft = self._draft(RATE)
        first = self._request(draft)
        self._explain(self._requester.specification(first))
        self._explain_noise(first)
        story.title(f"A second request continues its model: eta = {TUNED_RATE}")
        path = self._requester.fetch(first).path
        second = self._request(draft.changed(initial_model=str(path), **self._local(TUNED_RATE)))
        self._compare(first, second)

    def _draft(self, rate: float) -> Draft:
        fields = self._data.draft.fields
        return self._data.draft.changed(
            **self._local(rate),
            leader_rule="reputation",
            usage_rules="for the requester's own use",
            auditors=[self._auditor.address],
            windows={**fields["windows"], "submit": SUBMIT_SECONDS},
        )

    @staticmethod
    def _local(rate: float) -> dict[str, Any]:
        return {
            "local": {
                "epochs": EPOCHS,
                "batch_size": BATCH,
                "learning_rate": rate,
                "momentum": MOMENTUM,
            }
        }

    # ------------------------------------------------------------------ a request, stages 2 to 9

    def _request(self, draft: Draft) -> int:
        story, network, requester = self._story, self._network, self._requester
        request = requester.create(draft, self._data.evaluation, PAYMENT_WEI)
        spec = requester.specification(request)
        story.step(
            "3.2, stage 2",
            f"request {request}: first model {spec.initial_model[:16]}…, which everybody can read,"
            f" {PAYMENT_WEI / 1e18:g} ether in escrow, usage rules {spec.usage_rules!r}",
        )
        pause = poll_seconds(self._options)
        members: list[PoolMember] = []
        with show_progress(story.console, spec.rounds) as show:

            def report(progress: RequestProgress) -> None:
                network.check_daemons()
                if progress.round and not members:
                    members.extend(self._tell_members(request))
                show(progress)

            end = requester.follow(request, report, poll_interval=pause)
        story.expect(end.model, f"request {request} ended without a model")
        seen = look(self._client, request)
        self._tell_rounds(seen)
        self._tell_end(seen, request)
        return request

    def _tell_members(self, request: int) -> tuple[PoolMember, ...]:
        members = self._client.pool.members(request)
        self._story.step(
            "3.2, stage 3",
            f"{len(members)} providers opted in: account, number of samples and the root of type,"
            " size and attributes are on chain",
        )
        return members

    def _tell_rounds(self, seen: RequestLook) -> None:
        story, members = self._story, self._client.pool.members(seen.request_id)
        reputation = {one.account: one.reputation for one in members}
        rounds = {one.round: round_of(seen, one.round) for one in seen.events(RoundFinalised)}
        shown = table(
            "Rounds",
            *("round", "drawn", "models", "combined", "leader", "its reputation", "error"),
        )
        leaders = []
        for event in seen.events(RoundFinalised):
            one = rounds[event.round]
            leader = one.account(event.leader) if event.leader < len(one.members) else ""
            leaders.append(leader)
            shown.add_row(
                str(event.round),
                f"{len(one.members)} of {len(reputation)}",
                str(one.submitted.bit_count()),
                str(one.included.bit_count()),
                short(leader) if leader else "-",
                f"{reputation.get(leader, 0) / MAX_SCORE:.4f}",
                "-" if event.error == INVALID else f"{event.error / MAX_SCORE:.4f}",
            )
            story.expect(
                leader == self._due_leader(event, one, reputation, leaders[:-1]),
                f"round {event.round}: another member should have led",
            )
        story.show(shown)
        again = sum(count - 1 for count in _draws(rounds).values())
        story.step(
            "4.1, eq. 1",
            f"trainings of members that were drawn again: {again}; they started between the global"
            " and the member's own model, a member's first one in a request at the global model",
        )

    @staticmethod
    def _due_leader(
        event: RoundFinalised, one: RoundLook, reputation: dict[str, int], before: list[str]
    ) -> str:
        """By the rule `reputation`, but for ties, which a hash breaks."""
        able = one.included & one.board.eligible & event.approvals
        if not able:
            return ""
        ranked = {
            one.account(seat): reputation[one.account(seat)]
            - (MAX_SCORE + 1) * (before[-1:] == [one.account(seat)])
            for seat in seats_of(able)
        }
        leader = one.account(event.leader)
        return leader if ranked.get(leader) == max(ranked.values()) else "another"

    def _tell_end(self, seen: RequestLook, request: int) -> None:
        story = self._story
        paid = {one.account: one.amount for one in seen.events(Paid)}
        story.step(
            "3.2, stages 8, 9",
            f"{len(seen.events(RoundFinalised))} rounds; the model's key was delivered to the"
            f" requester, and {len(paid)} members were paid by contribution",
        )
        story.audited(audit(self._client, self._network.store, request, self._auditor))
        items = story.audits[-1].items
        holds = sum(item.verdict is Verdict.HOLDS for item in items)
        story.step(
            "3.1 (3)",
            f"audit of request {request}, from chain and store alone: {holds} of {len(items)}"
            " items hold",
        )

    # ------------------------------------------------------------------ what it is worth

    def _explain(self, spec: Specification) -> None:
        """What holds of each of the requests."""
        story = self._story
        story.step(
            "alg. 1, line 4",
            f"S_t: {spec.max_providers} drawn for each round by the chain, from its"
            " randomness (PREVRANDAO)",
        )
        story.step(
            "alg. 1, line 8",
            "W = sum of n_k/n W_k over the drawn, with the declared sizes as they are"
            " (`sample-mean`)",
        )
        story.step(
            "3.2, stages 6, 7",
            "leader: of the members whose model counts and who attested the aggregate, the one with"
            " the highest reputation as of joining; the last leader goes last, and whoever is"
            " silent is not among them, so the next one leads. All members compute the aggregate;"
            " the contract pays, not the leader",
        )

    def _explain_noise(self, request: int) -> None:
        story, spec = self._story, self._requester.specification(request)
        least, most = min(self._data.samples), max(self._data.samples)
        sigmas = sorted(claimed_multiplier(spec, count) for count in {least, most})
        story.step(
            "4.2, alg. 2",
            f"DDP-SGD: {EPOCHS} epochs of batches of {BATCH}, the last one clipped at the norm of"
            " eq. 2 and noised; the epochs before it are raw, so what is uploaded is not covered",
        )
        story.step(
            "5.3, epsilon",
            f"{spec.privacy.statement}; noise multiplier {sigmas[0]:.2f} to {sigmas[-1]:.2f}, the"
            " accountant's for the noised steps of all rounds (the paper gives no formula)",
        )
        story.step(
            "5.3, sigma",
            "sigma = 1e-5 cannot be a noise scale: one step alone would cost an epsilon above"
            f" 1/(2 sigma^2) = {1 / (2 * 1e-5**2):.0e}, or {1 / (2 * exp(-5) ** 2):.0f} if e^-5"
            " is meant; it is read as delta = 1e-5",
        )

    def _compare(self, first: int, second: int) -> None:
        story = self._story
        steps = EPOCHS * -(-max(self._data.samples) // BATCH)
        reached = [self._accuracy(request) for request in (first, second)]
        reputations = sorted(
            (self._client.reputation.reputation(keys.address) for keys in self._providers),
            reverse=True,
        )
        story.step(
            "5.1, eta",
            f"accuracy on held-out images: {reached[0]:.4f} with eta = {RATE} from a new model,"
            f" {reached[1]:.4f} after the second request with eta = {TUNED_RATE}. So few rounds"
            f" show how it works, not how well: a provider takes at most {steps} steps a round,"
            " and the paper trains for 100 rounds",
        )
        story.step(
            "3.2, stage 7",
            f"reputations now {reputations[-1] / MAX_SCORE:.4f} to"
            f" {reputations[0] / MAX_SCORE:.4f}: they accumulate over requests, and the next one"
            " reads them at joining",
        )
        story.figures["accuracy"] = reached

    def _accuracy(self, request: int) -> float:
        spec = self._requester.specification(request)
        path: Path = self._requester.fetch(request).path
        model = decode(path.read_bytes(), family_of(spec).template(spec))
        return quality(spec, model, represented(spec, self._data.test))


def _draws(rounds: dict[int, RoundLook]) -> Counter[str]:
    """How often each account named a model."""
    return Counter(one.account(seat) for one in rounds.values() for seat in seats_of(one.submitted))
