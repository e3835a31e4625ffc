"""Gas of whole requests: `task`, `further_round`, `pool` and `large_round` of docs/gas.json.

A task is: create, one enrolment of all, start, one round, delivery, settlement with all payments.
Where all is `onchain`, each member joins and takes every step by itself. In a round in four batches
(`batched`) a stranger posts everything but what a member does for itself. `signed`: a round on
which all agree is one transaction. A large round is one transaction of a committee of sixteen that
all sign, with points for a thousand members.
"""

from __future__ import annotations

import random
import statistics
from typing import Any

from eth_account import Account
from eth_utils import keccak

from fedpact.chain.signed_messages import pack_signatures
from fedpact.content.bn254 import Point
from fedpact.content.delivery import Deliveries
from tests.contracts.large.kit import DRAW_DELAY, LargeRounds
from tests.contracts.market.kit import REQUEST_KEY, as_argument
from tests.contracts.rounds.kit import (
    SLICE_KEY,
    START,
    WINDOW,
    Contracts,
    Rounds,
    deploy,
)
from tests.support.chainkit import Chain, anvil_process, compile_sources, local_accounts

Gas = dict[str, int]

COMMITTEE = 5
POOL = 1_000
COHORT = 10
JUDGES = 16
LARGE_ROUNDS = 10
PORTION = 350


def measure(sizes: tuple[int, ...]) -> dict[str, Any]:
    """`further_round` and `task`, each by kind and size; `pool` and `large_round` by size;
    `operations`: each step of a member by itself, of a committee of five, and of large rounds."""
    kinds = ("onchain", "batched", "signed")
    found: dict[str, Any] = {
        "task": {kind: {} for kind in kinds},
        "further_round": {kind: {} for kind in kinds},
    }
    accounts = local_accounts(24)
    with anvil_process() as url:
        chain = Chain(url, compile_sources())
        for account in accounts:
            chain.fund(account)
        contracts = deploy(chain, accounts[0])
        Rounds(chain, contracts, accounts, 3).create()
        for kind in kinds:
            for size in sizes:
                snapshot = chain.snapshot()
                task, further = _request(chain, contracts, accounts, size, kind)
                found["task"][kind][str(size)] = sum(map(sum, task.values()))
                found["further_round"][kind][str(size)] = sum(map(sum, further.values()))
                if (kind, size) == ("onchain", COMMITTEE):
                    found["operations"] = _single(task, further)
                if kind == "signed":
                    found["operations"][f"postRound, N = {size}"] = further["postRound"][0]
                chain.revert(snapshot)
        found["pool"] = _pools(chain, accounts)
        further, operations = _large(chain, accounts)
        found["large_round"] = {str(POOL): further}
        found["operations"] |= operations
    return found


def _single(task: dict[str, list[int]], further: dict[str, list[int]]) -> Gas:
    def middle(spent: list[int]) -> int:
        return int(statistics.median(spent))

    once = ("openSlice", "finalise")
    each = ("submit", "commitVotes", "revealVotes", "attest")
    return {
        "enrol, first": task["enrol"][0],
        "enrol": middle(task["enrol"][1:]),
        "start": task["start"][0],
        **{name: middle(further[name]) for name in each},
        "revealVotes, the last one": further["revealVotes"][-1],
        **{name: further[name][0] for name in once},
    }


def _request(
    chain: Chain, contracts: Contracts, accounts: Any, size: int, kind: str
) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Gas of each call in a task of one round, and in a further round of a longer request."""
    play = {"onchain": _alone, "batched": _batched, "signed": Rounds.post}[kind]
    one = Rounds(chain, contracts, accounts, size, maxRounds=1)
    one.create()
    key = Point(one.terms["deliveryKeyX"], one.terms["deliveryKeyY"])
    deliveries = Deliveries.seal(REQUEST_KEY, key, bytes(32), one.id, 1)
    delivery = deliveries.after(1)
    one.start_facts = (*START[:3], deliveries.root)
    for part in [[member] for member in one.members] if kind == "onchain" else [one.members]:
        one.enrol(part)
    one.start()
    play(one)
    market = contracts.market.functions
    call = market.deliver(one.id, one.terms, as_argument(delivery))
    one.sent(one.members[0], "deliver", call)
    chain.travel(WINDOW + 1)
    one.sent(one.stranger, "settle", market.settle(one.id, one.terms, one.earned, b""))

    long = Rounds(chain, contracts, accounts, size).running()
    play(long)
    before = {name: len(spent) for name, spent in long.gas.items()}
    play(long)
    further = {name: spent[before[name] :] for name, spent in long.gas.items()}
    return one.gas, {name: spent for name, spent in further.items() if spent}


def _alone(r: Rounds) -> None:
    """Each member takes every step by itself; a stranger takes those that anybody may."""
    seats = range(len(r.seats))
    for seat in seats:
        r.submit(seat)
    r.open_slice()
    for seat in seats:
        r.commit(seat)
    for seat in seats:
        r.reveal(seat, sender=r.seats[seat])
    for seat in seats:
        r.attest(seat)
    r.finalise()


def _batched(r: Rounds) -> None:
    """Four transactions: submit; slice and commit; reveal, which tallies; attest and finalise."""
    seats = range(len(r.seats))
    rounds, domain, round_ = r.on.rounds, r.domain, r.facts.round
    poster = r.stranger
    r.submit(*seats, sender=poster)
    slice_ = r.requester.sign_message(domain.slice(r.id, round_, SLICE_KEY)).signature
    judged = list(seats)
    for seat in seats:
        r.votes[seat] = r.vote(seat, judged)
    values = {seat: r.commitment(seat) for seat in seats}
    mask = (1 << len(judged)) - 1
    signed = r.signed(judged, lambda seat: domain.vote(r.id, round_, values[seat]), poster)
    opening = (r.id, [], r.requester.address, SLICE_KEY, pack_signatures([bytes(slice_)]))
    calls = [
        rounds.encode_abi("openSlice", opening),
        rounds.encode_abi("commitVotes", [r.id, mask, list(values.values()), signed]),
    ]
    r.sent(poster, "commit", rounds.functions.multicall(calls))
    r.committed = list(values.items())
    r.reveal(*seats)
    r.finalise(*seats)


def _pools(chain: Chain, accounts: Any) -> Gas:
    """Gas of a further round of a cohort of ten, out of ten and out of a thousand."""
    found: Gas = {}
    for size in (COHORT, POOL):
        snapshot = chain.snapshot()
        contracts = deploy(chain, accounts[0])
        r = Rounds(chain, contracts, accounts, 2, cohort=COHORT, maxPool=size)
        _start_with(r, accounts[0], size)
        r.post()
        spent = []
        for _ in range(3):
            spent.append(r.post()["gasUsed"])
        found[str(size)] = sum(spent) // len(spent)
        chain.revert(snapshot)
    return found


def _large(chain: Chain, accounts: Any) -> tuple[int, Gas]:
    """Gas of a further large round of a thousand members, and of what else such a request needs."""
    contracts = deploy(chain, accounts[0], "LargeRounds", DRAW_DELAY)
    terms = {"cohort": JUDGES, "minPool": POOL, "maxPool": POOL, "maxRounds": LARGE_ROUNDS}
    r = LargeRounds(chain, contracts, accounts, 2, **terms)
    _start_with(r, accounts[0], POOL)
    forcing = r.trainers[0]
    chain.fund(r.members[forcing])
    forced = r.force(forcing)["gasUsed"]
    source = random.Random("points of a large round")
    rounds = []
    for _ in range(LARGE_ROUNDS):
        judges = r.judges
        points = [source.randint(0, 180) for _ in range(POOL)]
        for judge in judges:
            points[judge] = source.randint(0, 600)
        rounds.append(r.post_large(r.large_record(points))["gasUsed"])
    summed = r.sum()["gasUsed"]
    chain.travel(WINDOW + 1)  # Nothing is delivered: members' sums are stored all the same.
    market = contracts.market.functions
    settled = r.sent(r.stranger, "settle", market.settle(r.id, r.terms, r.earned, b""))
    return sum(rounds[1:]) // len(rounds[1:]), {
        f"draw the committee of a large round of {POOL:,}": r.gas["draw"][0],
        f"force a model into a large round of {POOL:,}": forced,
        "post of that round, the first": rounds[0],
        f"sum of {LARGE_ROUNDS} large rounds": summed,
        "settle that request": settled["gasUsed"],
    }


def _start_with(r: Rounds, deployer: Any, size: int) -> None:
    """Creates the request and starts it with a pool of new accounts, which need no registration."""
    chain, contracts = r.chain, r.on
    members = [Account.from_key(keccak(text=f"pool {i}")) for i in range(size)]
    open_ = chain.deploy("OpenRegistry", deployer)
    code = chain.w3.eth.get_code(open_.address).to_0x_hex()
    r.create()
    # From here on the registry knows these accounts and nobody else.
    chain.rpc("anvil_setCode", contracts.registry.address, code)
    registry = chain.at("OpenRegistry", contracts.registry.address)
    for i in range(0, size, PORTION):
        portion = [m.address for m in members[i : i + PORTION]]
        chain.send(deployer, registry.functions.admit(portion, i))
    r.members = members
    for i in range(0, size, PORTION):
        r.enrol(members[i : i + PORTION], sender=deployer)
    chain.fund(members[0])
    r.start()
