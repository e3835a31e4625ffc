"""Gas of each operation and of whole requests: docs/gas.json and docs/gas.md.

    python -m benchmarks.gas            measure, print and write both
    python -m benchmarks.gas --check    write nothing; exit 1 if anything grew by more than 2 %

Measured on Anvil: `gasUsed` of receipts, with every provider in the committee, new accounts and
equal samples. A task does not include registration. One request is made first, so that no contract
pays for its first storage slot.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from eth_utils import keccak

from benchmarks import gas_second
from benchmarks.gas_market import measure_market
from scripts.compile import COMPILER, SETTINGS
from tests.support.chainkit import (
    Chain,
    Deployed,
    anvil_process,
    compile_sources,
    deploy_all,
    local_accounts,
)
from tests.support.scenario import WINDOW, Scenario

ROOT = Path(__file__).resolve().parent.parent

JSON = ROOT / "docs" / "gas.json"
PAGE = ROOT / "docs" / "gas.md"
SIZES = (3, 5, 10, 16)
GROWTH = 1.02
REPUTATION_UNIT = 10**15

Gas = dict[str, int]


def measure(sizes: tuple[int, ...] = SIZES) -> dict[str, object]:
    """Gas of operations (of a committee of five unless named otherwise), tasks, further rounds."""
    compiled = compile_sources()
    operations: Gas = {}
    tasks: Gas = {}
    further: Gas = {}
    with anvil_process() as url:
        chain = Chain(url, compiled)
        for size in sizes:
            snapshot = chain.snapshot()
            first = _request(chain, size)
            first.running().play_round()
            first.deliver()
            for seat in range(size):
                first.claim(seat)
            tasks[str(size)] = sum(map(sum, first.gas.values()))
            chain.revert(snapshot)

            snapshot = chain.snapshot()
            long = _request(chain, size, maxRounds=3)
            long.running().play_round()
            before = {name: len(spent) for name, spent in long.gas.items()}
            long.play_round()
            later = {name: spent[before[name] :] for name, spent in long.gas.items()}
            further[str(size)] = sum(map(sum, later.values()))
            if size == 5:
                operations |= _single(first.gas, later)
            operations[f"tally, first round, N = {size}"] = first.gas["tally"][0]
            operations[f"tally, further round, N = {size}"] = later["tally"][0]
            operations[f"propose, further round, N = {size}"] = later["propose"][0]
            chain.revert(snapshot)
        operations |= _aside(chain)
    second = gas_second.measure(tuple(size for size in sizes if size > 3))
    return {
        "operations": operations,
        "task": {"onchain": tasks, **second["task"]},
        "further_round": {"onchain": further, **second["further_round"]},
        "pool": second["pool"]["signed"],
        "v2": {"operations": measure_market()},
        "compiler": f"solc {COMPILER}, via-IR, optimiser runs {SETTINGS['optimizer']['runs']}",
    }


def _request(chain: Chain, size: int, **terms: int) -> Scenario:
    """A request not yet created, on contracts that already had one."""
    accounts = local_accounts(24)
    for account in accounts:
        chain.fund(account)
    contracts = deploy_all(chain, accounts[0], accounts[0], REPUTATION_UNIT)
    deployed = Deployed(*contracts, registrar=accounts[0])
    Scenario(chain, deployed, accounts, size).create()
    return Scenario(chain, deployed, accounts, size, **terms)


def _single(first: dict[str, list[int]], later: dict[str, list[int]]) -> Gas:
    def middle(spent: list[int]) -> int:
        return int(statistics.median(spent))

    return {
        "createRequest": first["createRequest"][0],
        "join, first": first["join"][0],
        "join": middle(first["join"][1:]),
        "start": first["start"][0],
        "submit, first round": middle(first["submit"]),
        "submit, further round": middle(later["submit"]),
        "openSlice": first["openSlice"][0],
        "commitVote, first round": middle(first["commitVote"]),
        "commitVote, further round": middle(later["commitVote"]),
        "revealVote": middle(first["revealVote"]),
        "vote (commit and reveal), first round": middle(first["commitVote"])
        + middle(first["revealVote"]),
        "vote (commit and reveal), further round": middle(later["commitVote"])
        + middle(later["revealVote"]),
        "attest": middle(first["attest"]),
        "propose, last round": first["propose"][0],
        "deliver and settle": first["deliver"][0],
        "claim": middle(first["claim"]),
    }


def _aside(chain: Chain) -> Gas:
    """Operations that a healthy request does not need, and registration."""
    found: Gas = {}
    left = _request(chain, 3).opened()
    found["withdraw before the start"] = left.withdraw(1)["gasUsed"]
    found["cancel before the start"] = left.cancel()["gasUsed"]
    found["refund after a cancellation"] = left.refund()["gasUsed"]

    # A registrar's voucher, signed for this chain and contract (EIP-712).
    registry, registrar = left.registry, left.deployed.registrar
    newcomer = local_accounts(25)[24]
    chain.fund(newcomer)
    voucher = (newcomer.address, 900, 7, 2**40)
    digest = registry.functions.voucherDigest(voucher).call()
    signature = registrar.unsafe_sign_hash(digest).signature
    facts = [keccak(text=name) for name in ("key", "profile", "attributes")]
    call = registry.functions.register(voucher, signature, *facts)
    found["register"] = chain.send(newcomer, call)["gasUsed"]
    call = registry.functions.setProfile(keccak(text="other profile"), facts[2])
    found["setProfile"] = chain.send(newcomer, call)["gasUsed"]
    call = registry.functions.setEncryptionKey(keccak(text="other key"))
    found["setEncryptionKey"] = chain.send(newcomer, call)["gasUsed"]
    call = registry.functions.suspend(newcomer.address)
    found["suspend"] = chain.send(registrar, call)["gasUsed"]
    return found | _resale(chain)


def _resale(chain: Chain) -> Gas:
    """Resale of a result that five members made, and the record of how providers were found."""
    found: Gas = {}
    s = _request(chain, 5)
    s.create()
    digest = keccak(text="retrieval")
    found["recordRetrieval"] = s.cache_call(s.requester, "recordRetrieval", s.id, digest)["gasUsed"]
    found["offer for resale"] = s.offer()["gasUsed"]
    s.join_all()
    s.start()
    s.play_round()
    s.deliver()
    found["buy a resold result, N = 5"] = s.buy()["gasUsed"]
    snapshot = chain.snapshot()
    chain.travel(WINDOW + 1)
    found["refund of a purchase"] = s.refund_purchase()["gasUsed"]
    chain.revert(snapshot)
    found["seal to a buyer"] = s.seal(1)["gasUsed"]
    found["claim of a resale"] = s.claim_resale(2)["gasUsed"]
    return found


def grown(kept: dict, now: dict) -> list[str]:
    """What costs over 2 % more than recorded, and what was added or removed; one message each."""
    complaints = []
    old = dict(_flat(kept))
    new = dict(_flat(now))
    complaints += [f"{name}: not in docs/gas.json" for name in sorted(new.keys() - old.keys())]
    complaints += [f"{name}: no longer measured" for name in sorted(old.keys() - new.keys())]
    complaints += [
        f"{name}: {new[name]:,} gas, before {old[name]:,}; run make gas if this is intended"
        for name in sorted(old.keys() & new.keys())
        if new[name] > old[name] * GROWTH
    ]
    return complaints


def _flat(result: dict) -> list[tuple[str, int]]:
    pairs = list(result["operations"].items())
    for part in ("task", "further_round"):
        for kind, spent in result[part].items():
            pairs += [(f"{part}, {kind}, N = {n}", gas) for n, gas in spent.items()]
    pairs += [(f"further_round, pool of {n}", gas) for n, gas in result.get("pool", {}).items()]
    second = result.get("v2", {}).get("operations", {})
    return pairs + [(f"second protocol, {name}", gas) for name, gas in second.items()]


def page(result: dict) -> str:
    """docs/gas.md: our figures next to published ones of other systems."""
    operations, tasks = result["operations"], result["task"]["onchain"]
    further = result["further_round"]["onchain"]

    def row(label: str, values: list[str]) -> str:
        return f"| {label} | " + " | ".join(values) + " |"

    def million(found: Gas) -> list[str]:
        return [f"{found[str(size)] / 1e6:.2f}M" if str(size) in found else "" for size in SIZES]

    lines = [
        "# Gas",
        "",
        f"Written by `make gas`; a test fails on growth above 2 %. {result['compiler']}.",
        "`gasUsed` of receipts on Anvil. All providers are in the committee, and their accounts",
        "are new to the contracts; registration is not counted.",
        "",
        "A task is: create, joins, start, one round (submissions, the requester's slice, commits,",
        "reveals, tally, attestations, proposal), delivery with settlement, claims. A further",
        "round is one with another round after it.",
        "",
        row("", [f"N = {size}" for size in SIZES]),
        row("---", ["---:"] * len(SIZES)),
        row("task of one round", million(tasks)),
        row("each further round", million(further)),
        row("HealChain, task, votes off chain", ["", "1.67M", "2.91M", ""]),
        row("BlockFLow, each further round", ["", "14.6M", "53.1M", ""]),
        "",
        "| operation | gas |",
        "| --- | ---: |",
        *(f"| {name} | {gas:,} |" for name, gas in operations.items()),
        "| peer: HealChain, reveal of one vote alone | 122,000 to 156,000 |",
        "| peer: CryptoFL, register | 1,670,000 |",
        "",
        "## Second protocol",
        "",
        "[What it does](protocol-v2.md). A task here has one enrolment with everybody's signature,",
        "and a settlement that pays all. *Signed*: a round on which all agree, in one transaction.",
        "*Batched*: in four.",
        "",
        row("", [f"N = {size}" for size in SIZES]),
        row("---", ["---:"] * len(SIZES)),
        row("task of one round, signed", million(result["task"]["signed"])),
        row("task of one round, batched", million(result["task"]["batched"])),
        row("each further round, signed", million(result["further_round"]["signed"])),
        row("each further round, batched", million(result["further_round"]["batched"])),
        "",
        "A further round of a cohort of ten, signed: "
        + " and ".join(f"{gas:,} from a pool of {n}" for n, gas in result["pool"].items())
        + ".",
        "",
        "Its market; pool and rounds are stand-ins of the tests in these figures:",
        "",
        "| operation | gas |",
        "| --- | ---: |",
        *(f"| {name} | {gas:,} |" for name, gas in result["v2"]["operations"].items()),
        "",
        "## Where the gas goes",
        "",
        "Every transaction costs 21,000, and five members send 34 of them in a task: more than a",
        "third of its gas. Writing a new storage slot costs 22,100, rewriting one 5,000. A request",
        "writes seven new slots (eight with more than eight members) and one more a member;",
        "rounds after the first write none. All actions of a member in a round share one word,",
        "digests go into the running hash of the request, and events carry what the hash proves",
        "(docs/adr/0010-digests-in-the-running-hash.md). The first leader's proposal also counts",
        "as its attestation.",
        "",
        "The cost of safety, in gas: commitments before the votes (36,000 a member and round),",
        "attestations by which each member checks the aggregate (36,500), medians and points on",
        "chain (a tally), a slot for the final digest (17,000 a task), and lookups of organisation",
        "and reputation at each join (about 8,000).",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure gas on Anvil")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on growth")
    check = parser.parse_args().check
    result = measure()
    if check:
        complaints = grown(json.loads(JSON.read_text()), result)
        for complaint in complaints:
            print(f"gas: {complaint}", file=sys.stderr)
        return 1 if complaints else 0
    JSON.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(result))
    print(PAGE.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
