"""Gas of the second protocol's market, on a pool and rounds whose facts are set."""

from fedpact.content.delivery import Deliveries, dispute_context, prove, public_key
from tests.contracts.v2.market.kit import (
    REQUEST_KEY,
    SECRET,
    Contracts,
    Request,
    deploy,
    entry,
)
from tests.support.chainkit import Chain, anvil_process, compile_second, local_accounts

SIZES = (5, 10, 16)


def measure_market() -> dict[str, int]:
    """Each operation; accounts are new to the contracts, and one request was made before."""
    with anvil_process() as url:
        chain = Chain(url, compile_second())
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
        return found | _large(chain, contracts, accounts)


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
