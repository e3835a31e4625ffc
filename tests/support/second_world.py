"""Daemons of the second protocol as processes, with data for each, and a requester that tests drive
by hand: it does what it is told, rightly or wrongly."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from eth_utils.crypto import keccak

from fedpact.audit import audit
from fedpact.chain import deployment as deployments
from fedpact.chain.bindings.events import Credited, Delivered, Paid, Started
from fedpact.chain.client import ChainClient
from fedpact.chain.connection import Connection
from fedpact.chain.deploying import Parameters, deploy_contracts
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.consensus.artefacts import RoundRef, model_cid, open_global, sealed_bytes
from fedpact.consensus.earned import fold, payouts, refunds_of
from fedpact.content import delivery
from fedpact.content.ipfs_node import IpfsNode
from fedpact.content.keys import seal
from fedpact.content.opening import open_store
from fedpact.demo.data import DemoData, prepare
from fedpact.demo.network import DemoNetwork, free_port
from fedpact.demo.options import DemoOptions, StoreKind
from fedpact.exchange.messages import SLICE_SEAT, Kind, Message, decode, encode
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of
from fedpact.requester import request as requests
from fedpact.requester.slices import slice_key
from fedpact.types.cid import Cid
from fedpact.types.requests import Earned, Phase, RoundFacts, Status, Terms, seats_of
from fedpact.types.specification import Specification
from tests.support.second import make_terms
from tests.support.waiting import PATIENCE, wait_until
from tests.support.world import POLICY, POLL, World

PAY = 10**18
Start = Callable[[Path], Any]


class SecondWorld(World):
    """As World, on the contracts of the second protocol."""

    def __init__(self, network: DemoNetwork, registrar: AccountKeys, data: DemoData) -> None:
        self.network, self.registrar, self.data = network, registrar, data
        assert isinstance(network.client, ChainClient)
        self.client: ChainClient = network.client
        self.requester_keys = network.account("requester")
        self.auditor = network.account("auditor")
        self.accounts = [network.account(f"provider-{n + 1}") for n in range(len(data.files))]
        everybody = [self.requester_keys, *self.accounts, self.auditor]
        for number, keys in enumerate(everybody):
            key = bytes(keys.encryption_key().public_key)
            self.client.registry.admit(
                registrar, keys.address, number + 1, key, bytes(32), bytes(32)
            )
        self.secret = delivery.requester_secret(
            self.requester_keys.derive("delivery"), network.deployment.fingerprint
        )
        self.specification: Specification | None = None
        self.exchanging = False
        self.tokens: dict[str, int] = {}
        """In which providers take pay besides ether, with the least pay a round."""
        self.ports: dict[int, int] = {}
        self.policy = ""
        """Further lines of the providers' policies."""

    def serve(self, number: int, lifetime: float = 8.0) -> None:
        """Each daemon answers at a port of its own if `exchanging` is set."""
        if number not in self.ports and self.exchanging:
            self.ports[number] = free_port()
        listen = f"127.0.0.1:{self.ports[number]}" if self.exchanging else ""
        policy = self.network.folder / f"policy-{number + 1}.toml"
        tokens = "".join(f'"{token}" = {least}\n' for token, least in self.tokens.items())
        lines = POLICY.format(lifetime=lifetime) + self.policy
        policy.write_text(f"{lines}\n[tokens]\n{tokens}")
        name = f"provider-{number + 1}"
        self.network.start_daemon(name, self.data.files[number], policy, POLL, None, listen)

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
        prepared = requests.prepare(draft, self.data.evaluation, self.requester_keys)
        self.specification = spec = prepared.specification
        self.put(prepared.contents)
        said = spec.windows
        public = delivery.public_key(self.secret)
        asked: Terms = make_terms(
            specification=Cid.of(spec.encode()).digest,
            evaluation=spec.evaluation_digest,
            initial_model=Cid.parse(spec.initial_model).digest,
            query_key=spec.query_key,
            delivery_key_x=public.x,
            delivery_key_y=public.y,
            pay=PAY,
            min_pool=spec.min_providers,
            max_pool=len(self.accounts),
            cohort=spec.max_providers,
            max_rounds=spec.rounds,
            max_error=spec.max_error,
            target=spec.target,
            leader_rule=spec.chain_leader_rule,
            approval_rule=spec.chain_approval_rule,
            vote_band=spec.vote_band,
            join_window=said.join,
            start_window=said.start,
            submit_window=said.submit,
            commit_window=said.commit,
            reveal_window=said.reveal,
            attest_window=said.propose,
            deliver_window=said.deliver,
            dispute_window=1,
        )
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
        keys = self.requester_keys
        call = self.client.rounds.open_slice(request, (), keys.address, sealed, None)
        self.client.send(keys, call)

    def exchange(self, request: int, round_: int, messages: list[Message]) -> list[Message]:
        """Messages with the first daemon; none before it takes part in the round."""
        fingerprint = self.network.deployment.fingerprint.hex()
        url = f"http://127.0.0.1:{self.ports[0]}/exchange/{fingerprint}/{request}/{round_}"
        headers = {"content-type": "application/json"}
        answer = httpx.post(url, content=encode(messages), headers=headers, trust_env=False)
        return decode(answer.content) if answer.status_code == httpx.codes.OK else []

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
            signature=keys.sign_typed(*typed).hex(),
        )
        self.exchange(request, facts.round, [said])

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
            facts = self.client.rounds.round_facts(request)
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
        return self.client.rounds.round_facts(request).phase

    # -- what became of it ----------------------------------------------------------------------

    def paid_as_mirrored(self, request: int) -> dict[str, int]:
        """What each account was paid: shares and refunds of gas, as the mirror computes them."""
        listed = [
            Earned(one.cohort, one.points, one.extra, one.digest)
            for one in self.events(request, Credited)
        ]
        outcome, terms = self.client.rounds.outcome(request), self.client.market.terms(request)
        assert fold(listed) == outcome.earned
        shares = payouts(
            listed, terms.pay, due=True, reached=outcome.reached, max_rounds=terms.max_rounds
        )
        members = self.client.pool.members(request)
        expected = {members[index].account: share for index, share in shares.items()}
        by_lower = {member.account.lower(): member.account for member in members}
        for poster, wei in refunds_of(listed, terms.gas_budget).items():
            expected[by_lower[poster]] += wei
        found: dict[str, int] = {}
        for event in self.events(request, Paid):
            if event.account != self.requester_keys.address:
                found[event.account] = found.get(event.account, 0) + event.amount
        assert found == {account: wei for account, wei in expected.items() if wei}
        return found

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
            delivery.Point(*sent.ephemeral), sent.cipher, sent.key_digest, sent.proof
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


@contextmanager
def second_world(
    folder: Path, *, providers: int, rounds: int, start: Start = Devnet.start
) -> Iterator[SecondWorld]:
    """A fresh chain with the second protocol's contracts; no daemon runs yet."""
    data = prepare(DemoOptions(providers=providers, rounds=rounds), folder)
    with second_network(folder, start=start) as (network, registrar):
        yield SecondWorld(network, registrar, data)


@contextmanager
def second_network(
    folder: Path, store: StoreKind = StoreKind.EMBEDDED, start: Start = Devnet.start
) -> Iterator[tuple[DemoNetwork, AccountKeys]]:
    """As `running_network`, with the second protocol's contracts; `start`: a chain of another
    client, with its files in a folder."""
    password = folder / "password"
    password.write_text(secrets.token_urlsafe(24))
    os.chmod(password, 0o600)
    with ExitStack() as stack:
        devnet = stack.enter_context(start(folder / "devnet"))
        ipfs, uri = None, str(folder / "content")
        if store is StoreKind.IPFS:
            ipfs = stack.enter_context(IpfsNode.start(folder / "ipfs"))
            uri = ipfs.url
        registrar = devnet.new_account()
        connection = Connection.connect(devnet.url, None)
        parameters = Parameters(registrar.address, registrar.address, 1, 1)
        deployment = deploy_contracts(connection, registrar, parameters)
        deployments.save(deployment, folder / "deployment.json")
        network = DemoNetwork(
            folder,
            devnet,
            ChainClient.connect(devnet.url, deployment),
            deployment,
            open_store(uri),
            uri,
            password,
            ipfs,
        )
        stack.callback(network.stop)
        yield network, registrar
