"""What a provider is told of its requests, and how it gets its pay."""

from contextlib import closing
from pathlib import Path

import pytest

from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.failover import Nodes
from fedpact.chain.keystore import AccountKeys
from fedpact.errors import InvalidInput, NotReady
from fedpact.provider.claim import claim
from fedpact.provider.files import state_file
from fedpact.provider.overview import standing
from fedpact.provider.state.checkpoint import Participation, ProviderState
from fedpact.types.currency import ETHER_CURRENCY
from fedpact.types.requests import Status
from tests.support.chain_request import ChainRequest, People, read_events
from tests.support.tokens import new_token

PAY = 3_600_000


def followed(client: ChainClient, folder: Path, account: str, request: int) -> None:
    """The state file of a daemon that has joined, and read all events."""
    path = state_file(folder, client.deployment, account)
    path.parent.mkdir(parents=True, exist_ok=True)
    state = ProviderState(path, client.deployment, account)
    read_events(client, state)
    state.decide(request, Participation.JOINED, "joined with 100 samples")
    state.close()


def test_a_small_pool_is_paid_by_whoever_settles(
    anvil: Devnet, client: ChainClient, operator: AccountKeys, tmp_path: Path
) -> None:
    people = People.admitted(anvil, client, operator)
    token = new_token(client, operator, "BareToken", **{people.requester.address: PAY})
    client.send(people.requester, token.approve(client.market.address, PAY))
    request = ChainRequest.created(client, people, token=token.address, pay=PAY, max_rounds=1)
    alice = people.members[0]
    assert standing(client, tmp_path, alice.address) == []
    request.running()
    followed(client, tmp_path, alice.address, request.id)
    seen = standing(client, tmp_path, alice.address)[-1]
    assert (seen.request_id, seen.standing, seen.stage, seen.round) == (
        request.id,
        "joined",
        "submit",
        1,
    )
    with pytest.raises(NotReady, match="before its rounds are over"):
        claim(client, alice, request.id)
    request.post()
    with pytest.raises(NotReady, match="has not been delivered"):
        claim(client, alice, request.id)
    request.deliver()
    with pytest.raises(NotReady, match="may dispute the delivery for another"):
        claim(client, alice, request.id)
    anvil.mine(2, 1_001)
    with pytest.raises(InvalidInput, match="is not in the pool"):
        claim(client, people.requester, request.id)

    paid = {one.currency.symbol: one for one in claim(client, alice, request.id)}
    assert client.market.request(request.id).status is Status.SETTLED
    assert (paid["BARE"].account, paid["BARE"].credited) == (alice.address, False)
    assert paid["BARE"].amount == token.balance_of(alice.address) > PAY // 4
    assert "ether" in paid  # it posted the round
    seen = standing(client, tmp_path, alice.address)[-1]
    assert (seen.stage, seen.claimable, seen.currency.symbol) == ("settled", 0, "BARE")
    with pytest.raises(NotReady, match="all that was due has been paid"):
        claim(client, alice, request.id)


def test_members_of_a_large_pool_claim_for_themselves_and_for_others(
    anvil: Devnet, client: ChainClient, operator: AccountKeys, tmp_path: Path
) -> None:
    people = People.admitted(anvil, client, operator, members=17)
    request = ChainRequest.created(
        client, people, max_rounds=1, cohort=2, gas_per_round=0, pay=PAY
    ).running()
    drawn = request.seats
    request.post()
    request.deliver()
    anvil.mine(2, 1_001)
    alice, bob = drawn
    followed(client, tmp_path, bob.address, request.id)
    [own] = claim(client, alice, request.id)
    assert (own.account, own.currency.symbol) == (alice.address, "ether")
    seen = standing(client, tmp_path, bob.address)[-1]
    assert seen.claimable == PAY - own.amount - 1  # shares are rounded down
    [other] = claim(client, alice, request.id, [bob.address])
    assert (other.account, other.amount) == (bob.address, seen.claimable)
    assert standing(client, tmp_path, bob.address)[-1].claimable == 0


def test_what_the_market_keeps_counts_once(
    anvil: Devnet, client: ChainClient, operator: AccountKeys, tmp_path: Path
) -> None:
    """It was added to every settled request that paid in the same currency."""
    people = People.admitted(anvil, client, operator)
    alice, bob = people.members[:2]
    settled = []
    with closing(Nodes(anvil.url)) as node:
        for code in ("0x5f5ffd", "0x"):  # the account refuses ether; it is an ordinary one
            request = ChainRequest.created(client, people, max_rounds=1, pay=PAY).running()
            request.post()
            request.deliver()
            anvil.mine(2, 1_001)
            node.call("anvil_setCode", alice.address, code)
            claim(client, bob, request.id)
            followed(client, tmp_path, alice.address, request.id)
            settled.append(request.id)
    kept = client.market.balance_of(alice.address, ETHER_CURRENCY.token)
    due = {one.request_id: one.claimable for one in standing(client, tmp_path, alice.address)}
    assert [due[request] for request in settled] == [kept, 0]
    assert kept > PAY // 4
