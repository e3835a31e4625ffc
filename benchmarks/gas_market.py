"""Gas of the markets, on a pool and rounds whose facts are set, and of the registry."""

from eth_utils import keccak

from fedpact.content.bn254 import public_key
from fedpact.content.delivery import Deliveries
from fedpact.content.wrong_key_proof import dispute_context, prove
from tests.contracts.market.kit import (
    REQUEST_KEY,
    SECRET,
    WINDOW,
    Contracts,
    Request,
    deploy,
    entry,
)
from tests.contracts.market.sale import ROUND, Sale
from tests.support.chainkit import Chain, anvil_process, compile_sources, local_accounts

SIZES = (5, 10, 16)


def measure_market() -> dict[str, int]:
    """Each operation; accounts are new to the contracts, and one request was made before."""
    with anvil_process() as url:
        chain = Chain(url, compile_sources())
        accounts = local_accounts(24)
        for account in accounts:
            chain.fund(account)
        contracts = deploy(chain, accounts[0])
        Request(chain, contracts, accounts).create()
        found: dict[str, int] = {}
        for size in SIZES:
            snapshot = chain.snapshot()
            r = Request(chain, contracts, accounts, size)
            created = r.create()["gasUsed"]
            r.start()
            poster = r.members[0].address
            r.end(entry([10_000 // size] * size, refund=1_000, poster=poster), reached=True)
            found |= {"createRequest": created, "deliver": r.deliver()["gasUsed"]}
            settled = r.settle(sender=r.requester)["gasUsed"]
            found[f"settle and pay, N = {size}"] = settled
            chain.revert(snapshot)
        found["dispute"] = _dispute(chain, contracts, accounts)
        found |= _large(chain, contracts, accounts) | _resale(chain, contracts, accounts)
        return found | _registry(chain, contracts, accounts)


def _dispute(chain: Chain, contracts: Contracts, accounts: list) -> int:
    r = Request(chain, contracts, accounts)
    r.create()
    right = Deliveries.seal(REQUEST_KEY, public_key(SECRET), bytes(32), r.id, 4)
    r.start(Deliveries(right.ephemeral, (bytes(32),) * 4, right.key_digests))
    r.end(entry([5_000] * 2))
    r.deliver()
    context = dispute_context(chain.chain_id, contracts.market.address, r.id)
    return r.dispute(prove(SECRET, r.delivery(), 1, context))["gasUsed"]


def _large(chain: Chain, contracts: Contracts, accounts: list) -> dict[str, int]:
    """A pool of 20, of which four took part in each of five rounds."""
    r = Request(chain, contracts, accounts, accounts[2:22], maxRounds=5)
    r.create()
    r.start()
    rounds = [entry([2_500] * 4, range(4 * number, 4 * number + 4)) for number in range(5)]
    r.end(*rounds, reached=True)
    r.deliver()
    settled = r.settle(sender=r.requester)["gasUsed"]
    return {
        "settle a pool of 20, five rounds of four": settled,
        "pay ten of its members": r.pay(*range(10))["gasUsed"],
    }


def _resale(chain: Chain, contracts: Contracts, accounts: list) -> dict[str, int]:
    """A result that three members made, offered and sold; and the record of a search."""
    parts = (contracts.registry, contracts.market, contracts.pool, contracts.rounds)
    market = chain.deploy("ResaleMarket", accounts[0], *(one.address for one in parts))
    r = Request(chain, contracts, accounts)
    r.create()
    r.admit(accounts[20], 50)
    sale = Sale(market, r, [accounts[20], accounts[21]])
    record = keccak(text="record")
    found = {
        "recordRetrieval": sale.send(r.requester, "recordRetrieval", r.id, record)["gasUsed"],
        "offer for resale": sale.offer()["gasUsed"],
    }
    r.start()
    r.end(ROUND, final_rounds=1)
    r.deliver()
    r.settle(sender=r.requester)
    found["tally of a result's makers"] = sale.tally()["gasUsed"]
    found["buy a result"] = sale.buy()["gasUsed"]
    snapshot = chain.snapshot()
    chain.travel(WINDOW + 1)
    found["refund of a purchase"] = sale.send(sale.buyer, "refund", r.id)["gasUsed"]
    chain.revert(snapshot)
    found["seal to a buyer"] = sale.seal()["gasUsed"]
    chain.travel(WINDOW + 1)
    found["claim of a resale"] = sale.claim(0, sale.buyer)["gasUsed"]
    return found


def _registry(chain: Chain, contracts: Contracts, accounts: list) -> dict[str, int]:
    registry, registrar, newcomer = contracts.registry, accounts[0], accounts[22]
    # A registrar's voucher, signed for this chain and contract (EIP-712).
    voucher = (newcomer.address, 900, 7, 2**40)
    digest = registry.functions.voucherDigest(voucher).call()
    signature = registrar.unsafe_sign_hash(digest).signature
    facts = [keccak(text=name) for name in ("key", "profile", "attributes")]
    functions = registry.functions
    steps = {
        "register": (newcomer, functions.register(voucher, signature, *facts)),
        "setProfile": (newcomer, functions.setProfile(keccak(text="other profile"), facts[2])),
        "setEncryptionKey": (newcomer, functions.setEncryptionKey(keccak(text="other key"))),
        "suspend": (registrar, functions.suspend(newcomer.address)),
    }
    return {name: chain.send(sender, call)["gasUsed"] for name, (sender, call) in steps.items()}
