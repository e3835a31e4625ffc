"""The invariants of an episode, whatever happened in it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from fedpact.chain.bindings.events import (
    ModelsSubmitted,
    Paid,
    RoundFinalised,
    RoundOpened,
    RoundPosted,
    Settled,
)
from fedpact.consensus import draw
from fedpact.consensus.artefacts import model_cid, sealed_bytes
from fedpact.errors import FedpactError
from fedpact.learning.families import family_of
from fedpact.privacy.accounting import cost
from fedpact.privacy.ledger.check import verify
from fedpact.provider.ledger.opening import open_ledger
from fedpact.requester.requester import Requester
from fedpact.types.requests import seats_of
from tests.chaos.schedule import PROVIDERS
from tests.chaos.world import ChaosWorld
from tests.support.world import faults_of, points_of

DELTA = 1e-5
CONTENT_SECONDS = 150.0
"""Twice the time in which a daemon looks at all that it owes, and some."""

Submitted = dict[tuple[int, int], bytes]
"""Digests by request and round."""


@dataclass
class Verdict:
    """What an episode lost and must not lose."""

    wei: int = 0
    epsilon: float = 0.0
    models: int = 0
    honest_faults: int = 0
    problems: list[str] = field(default_factory=list)
    """In words, for whoever looks for the cause."""


def judge(world: ChaosWorld, requests: list[int]) -> Verdict:
    """Check all invariants of a finished episode."""
    verdict = Verdict()
    for request in requests:
        _money(world, request, verdict)
        _rounds(world, request, verdict)
    left = int(world.client.rpc.call("eth_getBalance", world.client.market.address, "latest"), 16)
    if not 0 <= left < PROVIDERS * len(requests):
        _lose(verdict, abs(left), f"{left} wei are left in escrow")
    submitted = _submissions(world, requests)
    for number in range(PROVIDERS):
        _ledger(world, number, submitted[number], verdict)
    _content(world, requests, verdict)
    return verdict


def _lose(verdict: Verdict, wei: int, what: str) -> None:
    verdict.wei += wei
    verdict.problems.append(what)


def _rounds(world: ChaosWorld, request: int, verdict: Verdict) -> None:
    """Every round is final and paid to all; nobody has a fault."""
    outcome, terms = world.client.rounds.outcome(request), world.client.market.terms(request)
    rounds = world.episode.rounds
    if (outcome.final_rounds, outcome.paid_rounds) != (rounds, rounds):
        found = f"{outcome.final_rounds} rounds final, {outcome.paid_rounds} paid of {rounds}"
        verdict.problems.append(f"request {request}: {found}")
    for entry in world.entries(request):
        faults = faults_of(entry)
        if faults:
            verdict.honest_faults += len(faults)
            verdict.problems.append(f"request {request}: faults of seats {faults}")
        unpaid = [seat for seat, own in enumerate(points_of(entry, PROVIDERS)) if not own]
        if unpaid:
            share = terms.pay // terms.max_rounds // PROVIDERS
            _lose(verdict, share * len(unpaid), f"request {request}: seats {unpaid} got nothing")


def _money(world: ChaosWorld, request: int, verdict: Verdict) -> None:
    """All money in escrow was paid out, to the accounts that the Python mirror names."""
    terms = world.client.market.terms(request)
    paid = sum(event.amount for event in world.events(request, Paid))
    returned = sum(one.refund + one.gas_refund for one in world.events(request, Settled))
    requester = world.requester_keys.address
    to_requester = sum(e.amount for e in world.events(request, Paid) if e.account == requester)
    gone = terms.value - paid
    # Shares are rounded down; what that leaves, less than a wei a member, stays in the contract.
    gone = 0 if 0 <= gone < PROVIDERS else gone
    if gone or returned != to_requester:
        what = f"request {request}: {terms.value} wei paid in, {paid} paid out"
        _lose(verdict, abs(gone), f"{what}, {returned} due to the requester, {to_requester} sent")
    try:
        world.paid_as_mirrored(request)
    except AssertionError as error:
        verdict.problems.append(f"request {request}: not paid as computed: {error}")


def _submissions(world: ChaosWorld, requests: list[int]) -> list[Submitted]:
    """The models that each provider has submitted, as the chain has them now."""
    found: list[Submitted] = [{} for _ in range(PROVIDERS)]
    for request in requests:
        members = [member.account for member in world.client.pool.members(request)]
        cohorts: dict[int, list[int]] = {}
        for event in world.all_events(request):
            if isinstance(event, RoundOpened):
                seats = draw.cohort(event.seed, [1] * len(members), PROVIDERS)
                cohorts[event.round] = [world.number_of(members[index]) for index in seats]
            elif isinstance(event, ModelsSubmitted | RoundPosted):
                digests = _digests(world, event)
                for seat, digest in zip(seats_of(event.mask), digests, strict=True):
                    number = cohorts[event.round][seat]
                    found[number].setdefault((request, event.round), digest)
    return found


def _digests(world: ChaosWorld, event: ModelsSubmitted | RoundPosted) -> tuple[bytes, ...]:
    if isinstance(event, ModelsSubmitted):
        return event.digests
    record = world.client.rounds.posted_record(event.at.tx_hash, event.record)
    assert record is not None
    return tuple(record.digests)


def _ledger(world: ChaosWorld, number: int, submitted: Submitted, verdict: Verdict) -> None:
    """Each submission stands in the ledger, was drawn once, and nothing else was charged."""
    name = f"provider-{number + 1}"
    try:
        with open_ledger(world.ledger_file(number), world.accounts[number]) as ledger:
            entries = verify(ledger)
            spent = ledger.spent(DELTA).epsilon
    except FedpactError as error:
        verdict.problems.append(f"{name}: {error}")
        return
    # What was charged for a model that nobody ever saw is given back.
    entries = [one for one in entries if one.event is not None]
    made = {(one.id.request, one.id.round): one.digest for one in entries}
    if len(made) != len(entries):
        verdict.problems.append(f"{name}: drawn twice: {[one.id[1:] for one in entries]}")
    if made != submitted:
        only = sorted(set(made) - set(submitted)), sorted(set(submitted) - set(made))
        verdict.problems.append(f"{name}: in the ledger alone {only[0]}, on chain alone {only[1]}")
    events = [one.event for one in entries if one.event is not None]
    if events and submitted:
        due = cost(events[0].times(len(submitted)), DELTA).epsilon
        verdict.epsilon += abs(spent - due)
        if abs(spent - due) > 1e-6:
            verdict.problems.append(f"{name}: epsilon {spent:.6f} charged, {due:.6f} due")


def _content(world: ChaosWorld, requests: list[int], verdict: Verdict) -> None:
    """All models of final rounds can be read, and the requester has its own."""
    requester = Requester(
        world.client,
        world.network.store,
        world.requester_keys,
        world.network.folder / "state" / "requester",
    )
    deadline = time.monotonic() + CONTENT_SECONDS
    spec = world.data.draft.specification
    for request in requests:
        if not requester.model_path(request).is_file():
            verdict.models += 1
            verdict.problems.append(f"request {request}: the requester has no model")
        template = family_of(spec).template(spec)
        digests = [one.digest for one in world.events(request, RoundFinalised)]
        for event in world.all_events(request):
            if isinstance(event, ModelsSubmitted | RoundPosted):
                digests += _digests(world, event)
        for digest in digests:
            cid = model_cid(template, digest)
            while True:
                try:
                    world.network.store.get(cid, sealed_bytes(template))
                    break
                except FedpactError as error:
                    if time.monotonic() > deadline:
                        verdict.models += 1
                        verdict.problems.append(f"request {request}: {cid}: {error}")
                        break
                    time.sleep(1)
