"""A request with every kind of event that an honest one has: for audits."""

from fedpact.chain.bindings.events import Credited
from fedpact.content.delivery import Deliveries
from fedpact.requester.requester import Requester
from tests.support.committee import Committee, DigitsMarket, new_request

PRICE = 10**16
"""Of its resale, in wei."""


def play_rounds(market: DigitsMarket) -> Committee:
    """Two honest rounds, one in batches and one posted as a whole."""
    committee = new_request(market, resale={"price": PRICE})
    committee.play_in_batches()
    committee.post_round()
    return committee


def deliver_and_sell(committee: Committee) -> None:
    """Delivered and settled. The auditor buys the result, and a member seals the key to it."""
    committee.deliver_and_settle()
    market, request = committee.market, committee.id
    client, resale = market.client, market.client.resale
    buyer = Requester(client, market.store, market.auditor, market.folder / "state")
    entries = [one.entry for one in client.request_events(request) if isinstance(one, Credited)]
    buyer.buy(request)
    here, rounds = client.deployment.fingerprint, committee.terms.max_rounds
    sealed = Deliveries.seal(committee.key, buyer.delivery_key, here, request, rounds)
    final = client.rounds.outcome(request).final_rounds
    member, account = committee.members[0], market.auditor.address
    client.send(member, resale.tally(request, bytes(32), entries))
    client.send(member, resale.seal(request, 0, account, sealed.ciphers[final - 1]))
    assert buyer.continue_purchase(request) == (True, "")
