"""Daemons as processes, with data for each, and a requester that tests drive by hand: it does what
it is told, rightly or wrongly. `World.requester` is the product's, which does what it should."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
from eth_utils.crypto import keccak

from fedpact.audit import audit
from fedpact.chain.addresses import checksum
from fedpact.chain.bindings.events import Credited, Delivered, Paid, RequestEvent, Started
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.consensus.artefacts import RoundRef, model_cid, open_global, sealed_bytes
from fedpact.consensus.payout import fold, payouts, refunds_of
from fedpact.content import bn254, delivery
from fedpact.content.keys import seal
from fedpact.demo.data import DemoData, prepare
from fedpact.demo.fleet import Process
from fedpact.demo.network import DemoNetwork, running_network
from fedpact.demo.options import DemoOptions
from fedpact.exchange.messages import SLICE_SEAT, Kind, Message
from fedpact.exchange.sending import Sending
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of
from fedpact.provider.files import ledger_file, state_file
from fedpact.requester import preparing
from fedpact.requester.requester import Requester
from fedpact.requester.slices import slice_key
from fedpact.requester.terms import MarketTerms
from fedpact.types.requests import Phase, RoundFacts, Status, seats_of
from fedpact.types.specification import Specification
from tests.support.waiting import PATIENCE, wait_until
from tests.support.wallets import owned_wallet

POLL = 0.05
PAY = 10**18
POLICY = """categories = ["images/digits"]
epsilon_per_request = 4.1
epsilon_per_requester = 100.0
submit_after = 0.0
epsilon_lifetime = {lifetime}
min_samples = 20
"""


class World:
    """A network with accounts of a requester, providers with data, and an auditor; `registrar`
    admits others."""

    def __init__(
        self,
        network: DemoNetwork,
        registrar: AccountKeys,
        data: DemoData,
        wallets: Collection[str] = (),
    ) -> None:
        """`wallets`: names of those that act as contract wallets."""
        self.network, self.registrar, self.data = network, registrar, data
        self.client: ChainClient = network.client
        self._wallets = wallets
        self.requester_keys = self._account("requester")
        self.accounts = [self._account(f"provider-{n + 1}") for n in range(len(data.files))]
        self.auditor = network.account("auditor")
        everybody = [self.requester_keys, *self.accounts, self.auditor]
        for organisation, keys in enumerate(everybody, start=1):
            network.register(registrar, keys, organisation)
        self.requester = Requester(
            network.client, network.store, self.requester_keys, network.folder / "state"
        )
        self.secret = delivery.requester_secret(
            self.requester_keys.derive("delivery"), network.deployment.fingerprint
        )
        self.specification: Specification | None = None
        self.exchanging = False
        """Whether daemons answer at ports of their own."""
        self.tokens: dict[str, int] = {}
        """In which providers take pay besides ether, with the least pay a round."""
        self.listens: dict[int, str] = {}
        self.poll = POLL
        """Seconds between two looks of a daemon."""
        self.policy = ""
        """Further lines of the providers' policies."""

    def _account(self, name: str) -> AccountKeys:
        keys = self.network.account(name)
        if name not in self._wallets:
            return keys
        wallet = owned_wallet(self.client, keys)
        self.network.devnet.fund(wallet.address)
        return wallet

    # -- daemons --------------------------------------------------------------------------------

    def serve(self, number: int, lifetime: float = 8.0) -> None:
        name, policy = f"provider-{number + 1}", self.write_policy(number, lifetime)
        listen, wallet = self.listens.get(number, ""), self.accounts[number].wallet
        with patch.dict(os.environ, {} if wallet is None else {"FEDPACT_WALLET": wallet}):
            data, poll = self.data.files[number], self.poll
            self.network.start_daemon(name, data, policy, poll, None, listen)

    def write_policy(self, number: int, lifetime: float = 8.0) -> Path:
        """Of a daemon that is to be started, which gets a port of its own if daemons exchange."""
        if number not in self.listens and self.exchanging:
            self.listens[number] = self.network.listens()
        lines = [POLICY.format(lifetime=lifetime) + self.policy]
        if self.tokens:
            lines += ["[tokens]", *(f'"{token}" = {pay}' for token, pay in self.tokens.items())]
        policy = self.policy_file(number)
        policy.write_text("\n".join(lines))
        return policy

    def policy_file(self, number: int) -> Path:
        return self.network.folder / f"policy-{number + 1}.toml"

    def kill(self, number: int) -> None:
        """Kills the process, as a power cut would."""
        process = self.process(number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        index = self.network.daemons.index(process)
        del self.network.daemons[index], self.network.names[index]

    def number_of(self, account: str) -> int:
        """The index of the provider with this address."""
        return [keys.address for keys in self.accounts].index(account)

    def process(self, number: int) -> Process:
        return self.network.daemons[self.network.names.index(f"provider-{number + 1}")]

    def state_file(self, number: int) -> Path:
        state, account = self.network.folder / "state", self.accounts[number]
        return state_file(state, self.network.deployment, account.address)

    def ledger_file(self, number: int) -> Path:
        return ledger_file(self.network.folder / "state", self.accounts[number].address)

    def log(self, number: int) -> str:
        return (self.network.folder / f"provider-{number + 1}.log").read_text()

    # -- the requester --------------------------------------------------------------------------

    def create(
        self, windows: dict[str, int] | None = None, cohort: int | None = None, **terms: Any
    ) -> int:
        """Publish a request for all providers; `windows` replace the draft's.

        `cohort`: how many are drawn for a round.
        """
        draft = self.data.draft.changed(
            windows={**self.data.draft.fields["windows"], **(windows or {})},
            auditors=[self.auditor.address],
        )
        if cohort is not None:
            draft = draft.changed(min_providers=cohort, max_providers=cohort)
        prepared = preparing.prepare(draft, self.data.evaluation, self.requester_keys)
        self.specification = spec = prepared.specification
        self.put(prepared.contents)
        pool = MarketTerms(max_pool=len(self.accounts), dispute_window=1)
        asked = pool.complete(spec, bn254.public_key(self.secret), PAY)
        call = self.client.market.create_request(replace(asked, **terms))
        receipt = self.client.send(self.requester_keys, call)
        return int(receipt.event("RequestCreated").args["request"])

    def put(self, contents: Any) -> None:
        for content in contents:
            self.network.store.put(content)

    def open_slice(self, request: int, facts: RoundFacts) -> None:
        self.send_slice(request, self.sealed_slice(request, facts))

    def sealed_slice(self, request: int, facts: RoundFacts) -> bytes:
        """The slice's key, sealed to the committee."""
        assert self.specification is not None
        part = self.specification.evaluation[facts.round - 1]
        key = slice_key(self.requester_keys, bytes.fromhex(part.sha256))
        started = self.events(request, Started)[-1]
        entropy = self.requester_keys.seal_entropy
        return seal(started.start.committee_key, key, entropy)

    def send_slice(self, request: int, sealed: bytes) -> None:
        keys, rounds = self.requester_keys, self.client.rounds
        facts = rounds.round_facts(request)
        typed = rounds.domain.typed("Slice", request, facts.round, keccak(sealed))
        signature = next(iter(keys.for_seat(*typed)), None)
        self.client.send(keys, rounds.open_slice(request, (), keys.address, sealed, signature))

    def exchange(self, request: int, round_: int, messages: Sequence[Message]) -> Sequence[Message]:
        """Messages with the first daemon; none before it takes part in the round."""
        fingerprint = self.network.deployment.fingerprint.hex()
        url = f"http://{self.listens[0]}/exchange/{fingerprint}/{request}/{round_}"
        headers = {"content-type": "application/json"}
        content = Sending.of((), messages).encode()
        answer = httpx.post(url, content=content, headers=headers, trust_env=False)
        ok = answer.status_code == httpx.codes.OK
        return Sending.decode(answer.content).messages if ok else ()

    def say_slice(self, request: int, facts: RoundFacts, sealed: bytes | None = None) -> None:
        """Send the slice by message, once all models are named; `sealed`: another one."""
        held = self.exchange(request, facts.round, [])
        named = {one.seat for one in held if one.kind is Kind.MODEL}
        if named != set(seats_of(facts.expected)) or any(o.kind is Kind.SLICE for o in held):
            return
        sealed, keys = sealed or self.sealed_slice(request, facts), self.requester_keys
        domain = self.client.rounds.domain
        typed = domain.typed("Slice", request, facts.round, keccak(sealed))
        said = Message(
            kind=Kind.SLICE,
            seat=SLICE_SEAT,
            value=sealed.hex(),
            extra=keys.address[2:].lower(),
        )
        self.exchange(request, facts.round, [said.signed_with(keys.sign_typed(*typed))])

    def follow(
        self,
        request: int,
        until: Callable[[], bool],
        open_slice: Callable[[int, RoundFacts], None] | None = None,
        strike: Callable[[RoundFacts], None] = lambda _: None,
    ) -> None:
        """Open slices until something holds; `strike` is called at each look at the rounds."""
        opening = self.open_slice if open_slice is None else open_slice
        opened: set[int] = set()
        deadline = time.monotonic() + PATIENCE
        while not until():
            facts = self.client.any_rounds.round_facts(request)
            waits = facts.phase is Phase.COMMIT and not facts.slice_opened
            if waits and facts.round not in opened:
                opened.add(facts.round)
                opening(request, facts)
            strike(facts)
            self.network.check_daemons()
            assert time.monotonic() < deadline, self.logs()
            time.sleep(POLL / 2)

    def settled(self, request: int) -> Callable[[], bool]:
        return lambda: self.client.market.request(request).status is Status.SETTLED

    def phase(self, request: int) -> Phase:
        return self.client.any_rounds.round_facts(request).phase

    # -- what became of it ----------------------------------------------------------------------

    def events(self, request: int, kind: type[Any]) -> list[Any]:
        return [one for one in self.all_events(request) if isinstance(one, kind)]

    def all_events(self, request: int) -> list[RequestEvent]:
        return list(self.client.request_events(request))

    def entries(self, request: int) -> list[Credited]:
        """What rounds earned, without the gas of batches."""
        return [one for one in self.events(request, Credited) if one.points or one.extra & 0xFFFF]

    def paid_as_mirrored(self, request: int) -> dict[str, int]:
        """What each account was paid: shares and refunds of gas, as the mirror computes them."""
        listed = [one.entry for one in self.events(request, Credited)]
        outcome, terms = self.client.any_rounds.outcome(request), self.client.market.terms(request)
        assert fold(listed) == outcome.earned
        shares = payouts(
            listed, terms.pay, due=True, reached=outcome.reached, max_rounds=terms.max_rounds
        )
        members = self.client.pool.members(request)
        expected = {members[index].account: share for index, share in shares.items()}
        for poster, wei in refunds_of(listed, terms.gas_budget).items():
            account = checksum(poster)  # of a wallet that posts: its owner
            expected[account] = expected.get(account, 0) + wei
        due = {account: wei for account, wei in expected.items() if wei}
        # Members of a pool above sixteen are paid after the settlement, by `pay`.
        wait_until(
            lambda: self._paid(request) == due,
            lambda: f"paid {self._paid(request)}, not {due}",
        )
        return due

    def _paid(self, request: int) -> dict[str, int]:
        """What each account but the requester was paid so far."""
        found: Counter[str] = Counter()
        for event in self.events(request, Paid):
            if event.account != self.requester_keys.address:
                found[event.account] += event.amount
        return dict(found)

    def audited(self, request: int, keys: AccountKeys | None = None) -> dict[str, str]:
        """What an audit found, by item; nothing fails, and with `keys` all is there."""
        report = audit(self.client, self.network.store, request, keys)
        report.check()
        assert keys is None or not report.unavailable, report.unavailable
        return {item.name: item.detail for item in report.items}

    def final_model(self, request: int) -> Model:
        """Opened with what was delivered."""
        assert self.specification is not None
        [sent] = self.events(request, Delivered)
        given = delivery.Delivery(
            bn254.Point(*sent.ephemeral), sent.cipher, sent.key_digest, sent.proof
        )
        key = delivery.open_delivery(self.secret, given, sent.final_rounds)
        template = family_of(self.specification).template(self.specification)
        digest = [one.digest for one in self.entries(request) if any(one.digest)][-1]
        sealed = self.network.store.get(model_cid(template, digest), sealed_bytes(template))
        reference = RoundRef(self.network.deployment.fingerprint, request, sent.final_rounds)
        return open_global(sealed, key, reference, template)

    def wait_until_all_say(self, words: str) -> None:
        wait_until(
            lambda: all(words in self.log(number) for number in range(len(self.accounts))),
            self.logs,
        )

    def logs(self) -> str:
        names = [f"provider-{n + 1}.log" for n in range(len(self.accounts))]
        files = [self.network.folder / name for name in names]
        return "\n".join(f"{one.name}:\n{one.read_text()[-3000:]}" for one in files if one.exists())


def faults_of(entry: Credited) -> list[int]:
    return seats_of(entry.extra & 0xFFFF)


def points_of(entry: Credited, seats: int) -> list[int]:
    return [entry.points >> 16 * seat & 0xFFFF for seat in range(seats)]


@contextmanager
def running_world(
    folder: Path,
    *,
    providers: int,
    rounds: int,
    start: Callable[[Path], Devnet] = Devnet.start,
    wallets: Collection[str] = (),
) -> Iterator[World]:
    """A fresh chain, by `start`; no daemon runs yet. Everything is stopped at the end."""
    data = prepare(DemoOptions(providers=providers, rounds=rounds), folder)
    with running_network(folder, start=start) as (network, registrar):
        yield World(network, registrar, data, wallets)


def serve_held(world: World, number: int, policy: str) -> Process:
    """Starts the daemon whose trainings do what requests' titles say
    (`held_provider`)."""
    network, name = world.network, f"provider-{number + 1}"
    config, policy_file = (network.folder / f"{name}{end}.toml" for end in ("", "-policy"))
    config.write_text(network.settings(name, POLL))
    policy_file.write_text(policy)
    command = ["tests.support.held_provider", str(network.folder), "--config", str(config)]
    command += ["--data", str(world.data.files[number]), "--policy", str(policy_file)]
    process: Process = network.start_process(command, network.folder / f"{name}.log")
    network.daemons.append(process)
    network.names.append(name)
    return process
