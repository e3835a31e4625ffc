"""One test for each leaf of createRequest.tree."""

import pytest
from eth_abi import encode
from eth_account.messages import encode_typed_data
from eth_utils import keccak

from fedpact.content.bn254 import FIELD
from tests.contracts.market.kit import (
    FLOOR,
    GAS_PER_ROUND,
    GWEI,
    OPEN,
    PAY,
    TERMS_TYPE,
    WINDOW,
)
from tests.support.chainkit import Reverted, events

NOBODY = "0x" + 39 * "0" + "9"
DAYS = 24 * 3600


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        ("NoSpecification", {"specification": bytes(32)}),
        ("BadPoint", {"deliveryKeyX": 1, "deliveryKeyY": 3}),
        ("BadPoint", {"deliveryKeyX": 0, "deliveryKeyY": 0}),
        ("BadPoint", {"deliveryKeyX": FIELD + 1, "deliveryKeyY": 2}),
        ("NoPay", {"pay": 0}),
        ("TooManyOpeners", {"openers": [NOBODY] * 9}),
        ("BadGas", {"gasPerRound": 2**32 * GWEI}),
        ("BadGas", {"gasPerRound": GWEI + 1}),
        ("BadGas", {"maxGasPrice": 2**32 * 10**6}),
        ("BadGas", {"maxGasPrice": 10**6 + 1}),
    ],
)
def test_terms_out_of_bounds_are_refused(request_of, expect_revert, error, changes):
    with expect_revert(f"SharingMarket_{error}"):
        request_of(**changes).create()


@pytest.mark.parametrize("window", [5, FLOOR - 1, 30 * DAYS + 1])
@pytest.mark.parametrize("name", ["join", "start", "submit", "deliver", "dispute"])
def test_windows_have_a_floor_that_the_chain_can_meet(request_of, expect_revert, name, window):
    """A window of 5 s on 12 s slots let a requester get its model and its payment back."""
    with expect_revert("SharingMarket_BadWindow", window, FLOOR):
        request_of(**{f"{name}Window": window}).create()


@pytest.mark.parametrize("window", [FLOOR, 30 * DAYS])
def test_windows_at_their_bounds_are_taken(request_of, window):
    r = request_of(deliverWindow=window, submitWindow=window)
    r.create()
    assert r.status == OPEN


def test_gas_at_its_bounds_is_taken(chain, request_of):
    most = (2**32 - 1) * GWEI
    r = request_of(gasPerRound=most, maxGasPrice=(2**32 - 1) * 10**6, maxRounds=1)
    chain.fund(r.requester.address, most + 2 * PAY)
    r.create()
    assert r.status == OPEN


@pytest.mark.parametrize("more", [-1, 1])
def test_another_sum_of_ether_is_refused(request_of, expect_revert, more):
    r = request_of()
    needed = 4 * GAS_PER_ROUND + PAY
    with expect_revert("SharingMarket_WrongValue", needed + more, needed):
        r.create(value=needed + more)


def test_a_stranger_is_refused(request_of, expect_revert):
    r = request_of()
    with expect_revert("SharingMarket_NotActive", r.stranger):
        r.create(sender=r.stranger)


def test_a_suspended_participant_is_refused(chain, request_of, expect_revert):
    r = request_of()
    call = r.on.registry.functions.suspend(r.requester.address)
    chain.send(r.on.registrar, call)
    r.create()
    chain.travel(7 * DAYS)

    with expect_revert("SharingMarket_NotActive", r.requester):
        r.create()


def test_a_pause_refuses_new_requests(chain, request_of, expect_revert):
    r = request_of()
    r.send(r.on.registrar, "pause")

    with expect_revert("EnforcedPause"):
        r.create()


def test_exactly_the_pay_is_taken_in_the_token(request_of, token):
    money = token("PlainToken")
    r = request_of(token=money.address)
    r.create()

    assert money.functions.balanceOf(r.on.market.address).call() == PAY
    assert r.chain.balance(r.on.market.address) == 4 * GAS_PER_ROUND


def test_a_token_that_moves_less_is_refused(chain, request_of, token, expect_revert):
    money = token("FeeToken")
    r = request_of(token=money.address)
    chain.send(r.stranger, money.functions.charge(True))

    with expect_revert("SharingMarket_WrongAmount", money.address, PAY - PAY // 100, PAY):
        r.create()


def test_a_token_that_returns_false_is_refused(chain, request_of, token, expect_revert):
    money = token("FalseToken")
    r = request_of(token=money.address)
    chain.send(r.stranger, money.functions.fail(True))

    with expect_revert("SafeERC20FailedOperation", money.address):
        r.create()


def test_an_address_without_code_is_no_token(request_of, expect_revert):
    r = request_of(token=NOBODY)
    with pytest.raises(Reverted):
        r.create()
    assert r.on.market.functions.requestCount().call() == 0


def test_a_token_that_calls_back_creates_no_second_request(chain, request_of, token):
    """Two nested creations would both count the tokens of one."""
    money = token("CallingToken")
    r = request_of(token=money.address, gasPerRound=0)
    r.admit(money.address, 77)
    again = r.on.market.encode_abi("createRequest", [r.terms])
    chain.send(r.stranger, money.functions.call(r.on.market.address, again))

    r.create()

    assert r.on.market.functions.requestCount().call() == 1
    assert money.functions.tries().call() == 1
    assert not money.functions.succeeded().call()


def permit_of(chain, money, owner, spender, amount):
    """Signed for the market, valid for a day: deadline, v, r, s."""
    kinds = {"owner": "address", "spender": "address"}
    kinds |= dict.fromkeys(("value", "nonce", "deadline"), "uint256")
    deadline = chain.now + DAYS
    message = encode_typed_data(
        domain_data={
            **{"name": "Plain", "version": "1", "chainId": chain.chain_id},
            "verifyingContract": money.address,
        },
        message_types={"Permit": [{"name": k, "type": v} for k, v in kinds.items()]},
        message_data={
            **{"owner": owner.address, "spender": spender, "value": amount},
            **{"nonce": 0, "deadline": deadline},
        },
    )
    signed = owner.sign_message(message)
    return deadline, signed.v, signed.r.to_bytes(32), signed.s.to_bytes(32)


@pytest.fixture
def permitted(chain, request_of, token):
    """A request in a token of which the market may take nothing but by the permit."""
    money = token("PlainToken")
    r = request_of(token=money.address)
    chain.send(r.requester, money.functions.approve(r.on.market.address, 0))
    return r, money, permit_of(chain, money, r.requester, r.on.market.address, PAY)


def test_a_permit_needs_no_allowance(permitted):
    r, money, permit = permitted
    r.send(r.requester, "createRequestWithPermit", r.terms, permit, value=r.value)

    assert money.functions.balanceOf(r.on.market.address).call() == PAY


def test_a_permit_is_refused_for_ether(request_of, expect_revert):
    r = request_of()
    permit = (0, 27, bytes(32), bytes(32))
    with expect_revert("SharingMarket_NoToken"):
        r.send(r.requester, "createRequestWithPermit", r.terms, permit, value=r.value)


def test_a_permit_that_was_used_is_refused_and_not_needed(chain, permitted, expect_revert):
    r, money, permit = permitted
    call = money.functions.permit(r.requester.address, r.on.market.address, PAY, *permit)
    chain.send(r.stranger, call)

    with expect_revert("ERC2612InvalidSigner"):
        r.send(r.requester, "createRequestWithPermit", r.terms, permit, value=r.value)
    r.create()
    assert r.status == OPEN


def test_the_requester_and_the_hash_of_the_terms_are_stored(request_of):
    r = request_of(openers=[NOBODY])
    r.create()

    found = r.on.market.functions.request(r.id).call()
    terms = keccak(encode([TERMS_TYPE], [tuple(r.terms.values())]))
    assert tuple(found) == (OPEN, r.requester.address, 0, terms)
    assert r.on.market.functions.requesterOf(r.id).call() == r.requester.address


def test_pool_and_rounds_are_told_their_plans(request_of):
    r = request_of(openers=[NOBODY], weightRule=1, sampleCap=500)
    receipt = r.create()
    created = r.chain.w3.eth.get_block(receipt["blockNumber"])["timestamp"]

    (pool,) = events(r.on.pool, "PoolPrepared", receipt)
    plan = dict(pool["plan"])
    assert plan["joinDeadline"] == created + WINDOW
    assert (plan["requesterOrganisation"], plan["sampleCap"], plan["weightRule"]) == (1, 500, 1)
    assert (plan["minPool"], plan["maxPool"], plan["cohort"]) == (2, 100, 4)
    (rounds,) = events(r.on.rounds, "RoundsPrepared", receipt)
    plan = dict(rounds["plan"])
    assert plan["terms"] == keccak(encode([TERMS_TYPE], [tuple(r.terms.values())]))
    assert plan["openers"] == keccak(encode(["address[]"], [[NOBODY]]))
    assert (plan["gasPerRound"], plan["maxGasPrice"]) == (GAS_PER_ROUND // GWEI, 100_000)
    assert (plan["maxRounds"], plan["voteBand"], plan["attestWindow"]) == (4, 50, WINDOW)


def test_it_is_announced_with_its_terms(request_of):
    r = request_of()
    event = r.event("RequestCreated", r.create())

    assert (event["request"], event["requester"]) == (r.id, r.requester.address)
    assert event["queryKey"] == r.terms["queryKey"]
    assert event["terms"]["pay"] == PAY
    assert event["termsHash"] == keccak(encode([TERMS_TYPE], [tuple(r.terms.values())]))
