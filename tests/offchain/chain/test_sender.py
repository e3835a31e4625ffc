"""Sending: named outcomes, nonces of an account that others use too, slow blocks."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Timer

import pytest

from fedpact.chain import sender as sending
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.failover import Nodes
from fedpact.chain.fees import L1_FEE_ORACLE, FeeMarket
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.outbox import Outbox
from fedpact.chain.records import Call
from fedpact.chain.sender import Sender
from fedpact.errors import FeeTooHigh, Reverted, TransactionTimeout, UnfundedAccount
from fedpact.types.deployment import Deployment
from tests.support.chain_request import deployed_contracts
from tests.support.node_proxy import HttpAnswer, Message, node_in_front
from tests.support.waiting import PATIENCE, wait_until

_numbers = count(1)


def test_a_receipt_has_block_gas_and_events(
    client: ChainClient, operator: AccountKeys, stranger: AccountKeys
) -> None:
    receipt = client.registry.admit(
        operator, stranger.address, 2**14 - 1, b"k" * 32, b"p" * 32, b"a" * 32
    )
    [event] = receipt.events
    assert event == receipt.event("Registered")
    assert event.contract == "ParticipantRegistry"
    assert event.args == {
        "account": stranger.address,
        "organisation": 2**14 - 1,
        "encryptionKey": b"k" * 32,
        "profile": b"p" * 32,
        "attributesRoot": b"a" * 32,
    }
    assert (event.block, event.tx_hash) == (receipt.block, receipt.tx_hash)
    assert receipt.status == 1
    assert receipt.gas_used == client.gas_used(receipt.tx_hash) > 21_000


def test_refusal_carries_the_name_and_values_of_the_error(
    client: ChainClient, stranger: AccountKeys
) -> None:
    before = client.balance(stranger.address)
    with pytest.raises(Reverted) as caught:
        client.registry.set_profile(stranger, b"p" * 32, b"a" * 32)
    assert caught.value.name == "ParticipantRegistry_NotActive"
    assert caught.value.arguments == (stranger.address,)
    assert str(caught.value).startswith("ParticipantRegistry.setProfile: the contract refused")
    assert client.balance(stranger.address) == before


def test_an_unfunded_account_error_names_the_missing_amount(
    anvil: Devnet, client: ChainClient, operator: AccountKeys
) -> None:
    poor = anvil.new_account(wei=0)
    client.registry.admit(operator, poor.address, 10_000, b"k" * 32, b"p" * 32, b"a" * 32)
    with pytest.raises(UnfundedAccount, match=f"{poor.address} holds 0 ether and may have to pay"):
        client.registry.set_profile(poor, b"q" * 32, b"a" * 32)

    anvil.fund(poor.address)
    assert client.registry.set_profile(poor, b"q" * 32, b"a" * 32).status == 1


def test_a_value_above_the_balance_is_reported(client: ChainClient, stranger: AccountKeys) -> None:
    call = Call(stranger.address, b"", client.balance(stranger.address) + 1, "pay")
    with pytest.raises(UnfundedAccount, match="pay: account"):
        client.send(stranger, call)


def test_transactions_of_another_program_are_taken_into_account(
    anvil: Devnet, client: ChainClient, participant: AccountKeys
) -> None:
    client.registry.set_profile(participant, digest(), b"a" * 32)
    another = ChainClient.connect(anvil.url, client.deployment)
    for _ in range(3):
        another.registry.set_profile(participant, digest(), b"a" * 32)
    assert client.registry.set_profile(participant, digest(), b"a" * 32).status == 1


def test_two_threads_and_two_programs_share_an_account(
    anvil: Devnet, client: ChainClient, participant: AccountKeys
) -> None:
    another = ChainClient.connect(anvil.url, client.deployment)
    before = nonce_of(client, participant)

    def change(number: int) -> str:
        chosen = (client, another)[number % 2]
        return chosen.registry.set_profile(participant, digest(), b"a" * 32).tx_hash

    with ThreadPoolExecutor(4) as threads:
        hashes = list(threads.map(change, range(16)))
    assert len(set(hashes)) == 16
    assert nonce_of(client, participant) == before + 16


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A chain that makes a block only on request."""
    with Devnet.start(tmp_path_factory.mktemp("patient"), block_time=3600) as devnet:
        yield devnet


@pytest.fixture(scope="module")
def patient_deployment(patient: Devnet) -> Deployment:
    return deployed_contracts(patient, patient.new_account())


@pytest.fixture
def slow(patient: Devnet, patient_deployment: Deployment) -> Iterator[ChainClient]:
    client = ChainClient.connect(patient.url, patient_deployment)
    client.rpc.call("evm_setIntervalMining", 0)
    yield client
    client.rpc.call("evm_setAutomine", True)
    patient.mine()


def sender(
    client: ChainClient, *, timeout: float = PATIENCE, bump_after: float = PATIENCE
) -> Sender:
    return Sender(
        client.rpc, client.chain_id, client.decode, timeout=timeout, bump_after=bump_after
    )


def test_call_made_again_after_a_timeout_waits_for_the_first_transaction(
    patient: Devnet, slow: ChainClient
) -> None:
    keys, call = patient.new_account(), payment()
    impatient = sender(slow, timeout=0.5)
    with pytest.raises(TransactionTimeout, match=r"was not mined within 0\.5 s"):
        impatient.send(keys, call)
    with pytest.raises(TransactionTimeout):
        impatient.send(keys, call)

    patient.mine()
    receipt = impatient.send(keys, call)
    assert nonce_of(slow, keys) == 1
    assert slow.balance(str(call.to)) == call.value

    slow.rpc.call("evm_setAutomine", True)
    assert impatient.send(keys, call).tx_hash != receipt.tx_hash
    assert nonce_of(slow, keys) == 2


def test_same_call_from_two_threads_is_one_transaction(
    patient: Devnet, slow: ChainClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedpact.chain.sender.AGAIN_AFTER", PATIENCE)  # the first sends only once
    keys, call = patient.new_account(), payment()
    sent: list[str] = []

    def note(message: Message) -> None:
        if message["method"] == "eth_sendRawTransaction":
            sent.append(message["params"][0])

    with node_in_front(patient.url, note) as url, ThreadPoolExecutor(2) as threads:
        shared = sender(ChainClient.connect(url, slow.deployment))
        waiting = [threads.submit(shared.send, keys, call)]
        pending_fee(slow, keys)
        before = len(sent)
        waiting.append(threads.submit(shared.send, keys, call))
        wait_until(lambda: len(sent) > before)
        patient.mine()
        first, second = (future.result() for future in waiting)
    assert first.tx_hash == second.tx_hash
    assert len(set(sent)) == 1
    assert nonce_of(slow, keys) == 1


def test_pending_transactions_are_counted_even_if_the_node_does_not(
    patient: Devnet, slow: ChainClient
) -> None:
    keys, calls = patient.new_account(), [payment(), payment()]

    def count_mined_ones(message: Message) -> None:
        if message["method"] == "eth_getTransactionCount":
            message["params"][1] = "latest"

    with node_in_front(patient.url, count_mined_ones) as url, ThreadPoolExecutor(2) as threads:
        client = ChainClient.connect(url, slow.deployment)
        shared = sender(client)
        waiting = [threads.submit(shared.send, keys, call) for call in calls]
        pending_fee(slow, keys, nonce=1)
        patient.mine()
        assert len({future.result().tx_hash for future in waiting}) == 2
    assert nonce_of(slow, keys) == 2


def test_fee_is_raised_while_no_block_takes_the_transaction(
    patient: Devnet, slow: ChainClient
) -> None:
    keys, call = patient.new_account(), payment()
    raising = sender(slow, bump_after=0.4)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(raising.send, keys, call)
        first = pending_fee(slow, keys)
        wait_until(lambda: pending_fee(slow, keys) >= first * 125 // 100)
        patient.mine()
        receipt = waiting.result()
    assert nonce_of(slow, keys) == 1
    assert receipt.status == 1


def test_call_whose_nonce_another_transaction_took_is_sent_with_the_next(
    patient: Devnet, slow: ChainClient
) -> None:
    keys, call = patient.new_account(), payment()
    ours = sender(slow)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(ours.send, keys, call)
        fee = pending_fee(slow, keys)
        transaction = {
            "type": 2,
            "chainId": slow.chain_id,
            "nonce": 0,
            "gas": 21_000,
            "maxFeePerGas": 2 * fee,
            "maxPriorityFeePerGas": 2 * fee,
            "to": keys.address,
            "value": 0,
        }
        raw = keys.signer.sign_transaction(transaction).raw_transaction
        slow.rpc.call("eth_sendRawTransaction", "0x" + raw.hex())
        patient.mine()
        pending_fee(slow, keys, nonce=1)
        patient.mine()
        assert waiting.result().status == 1
    assert nonce_of(slow, keys) == 2
    assert slow.balance(str(call.to)) == call.value


def test_a_revert_that_shows_only_in_the_block_is_reported_by_name(
    patient: Devnet, patient_deployment: Deployment, slow: ChainClient
) -> None:
    """Both pass the estimate; the first one mined takes what the second one needs."""
    registrar = patient.new_account()
    slow.rpc.call("evm_setAutomine", True)
    deployment = deployed_contracts(patient, registrar)
    slow.rpc.call("evm_setIntervalMining", 0)
    newcomer = patient.new_account()

    def estimate_on_the_last_block(message: Message) -> None:
        """Anvil would take pending transactions into account."""
        if message["method"] == "eth_estimateGas":
            message["params"].append("latest")

    with (
        node_in_front(patient.url, estimate_on_the_last_block) as url,
        ThreadPoolExecutor(2) as threads,
    ):
        client = ChainClient.connect(url, deployment)

        def admit(organisation: int) -> object:
            return client.registry.admit(
                registrar, newcomer.address, organisation, b"k" * 32, b"p" * 32, b"a" * 32
            )

        waiting = [threads.submit(admit, organisation) for organisation in (1, 2)]
        wait_until(lambda: len(pool(slow, registrar)) == 2)
        patient.mine()
        errors = [error for error in (future.exception() for future in waiting) if error]
    [refused] = errors
    assert isinstance(refused, Reverted)
    assert refused.name == "ParticipantRegistry_AlreadyRegistered"
    assert refused.arguments == (newcomer.address,)


def test_node_that_is_silent_for_a_while_does_not_lose_the_receipt(
    tmp_path: Path,
) -> None:
    with Devnet.start(tmp_path, block_time=3600) as net:
        rpc = Nodes(net.url, timeout=4)
        client = ChainClient(rpc, 31337, "", None)
        keys, call = net.new_account(), payment()
        rpc.call("evm_setIntervalMining", 0)
        wake = Timer(9.0, lambda: (net.child.process.send_signal(signal.SIGCONT), net.mine()))
        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(sender(client).send, keys, call)
            pending_fee(client, keys)
            net.child.process.send_signal(signal.SIGSTOP)
            wake.start()
            assert waiting.result().status == 1
        wake.join()


def payment() -> Call:
    """A transfer that no other test makes, to an empty account."""
    number = next(_numbers)
    return Call("0x" + f"{0xFED000 + number:040x}", b"", number, "pay")


def digest() -> bytes:
    return next(_numbers).to_bytes(32, "big")


def nonce_of(client: ChainClient, keys: AccountKeys) -> int:
    return int(client.rpc.call("eth_getTransactionCount", keys.address, "latest"), 16)


def pending_fee(client: ChainClient, keys: AccountKeys, nonce: int = 0) -> int:
    """Fee cap of the account's transaction of this nonce as soon as it waits in the pool."""
    wait_until(lambda: nonce in pool(client, keys), "no transaction came")
    return int(pool(client, keys)[nonce]["maxFeePerGas"], 16)


def pool(client: ChainClient, keys: AccountKeys) -> dict[int, dict[str, str]]:
    """The account's transactions that wait for a block, by nonce."""
    for address, transactions in client.rpc.call("txpool_content")["pending"].items():
        if address.lower() == keys.address.lower():
            return {int(nonce): transaction for nonce, transaction in transactions.items()}
    return {}


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


def with_outbox(client: ChainClient, path: Path, url: str = "", **limits: float) -> Sender:
    """The sender of a freshly started process."""
    rpc = Nodes(url) if url else client.rpc
    kept = Outbox(client.genesis_hash, path)
    limits = {"timeout": PATIENCE, "bump_after": PATIENCE, **limits}
    return Sender(rpc, client.chain_id, client.decode, outbox=kept, **limits)  # type: ignore[arg-type]


def test_a_call_is_not_sent_twice_by_a_process_that_was_killed_meanwhile(
    patient: Devnet, slow: ChainClient, outbox: Path
) -> None:
    """Between signing and mining, or mining and return: `request create` paid twice."""
    keys, call = patient.new_account(), payment()
    with pytest.raises(TransactionTimeout):
        with_outbox(slow, outbox, timeout=0.1).send(keys, call)
    with pytest.raises(TransactionTimeout):
        with_outbox(slow, outbox, timeout=0.1).send(keys, call)
    patient.mine()
    assert with_outbox(slow, outbox).send(keys, call).status == 1
    assert nonce_of(slow, keys) == 1
    assert slow.balance(str(call.to)) == call.value


@pytest.mark.parametrize("status", [429, 502])
def test_a_refused_broadcast_leaves_no_gap(
    patient: Devnet, slow: ChainClient, outbox: Path, status: int
) -> None:
    """The node refuses one transaction; later ones of other calls must be mined all the same."""
    keys, first, second = patient.new_account(), payment(), payment()
    refused = []

    def refuse(message: Message) -> None:
        if message["method"] == "eth_sendRawTransaction" and len(refused) < 3:
            refused.append(message)
            raise HttpAnswer(status, Retry_After="0")

    with node_in_front(patient.url, refuse) as url:
        ours = with_outbox(slow, outbox, url, timeout=0.1)
        for call in (first, second):
            with pytest.raises(TransactionTimeout):
                ours.send(keys, call)
        ours.timeout = PATIENCE
        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(ours.send, keys, first)
            wait_until(lambda: len(pool(slow, keys)) == 2)
            patient.mine()
            assert waiting.result().status == 1
        assert ours.send(keys, second).status == 1
    assert nonce_of(slow, keys) == 2


def test_a_refusal_of_what_was_taken_all_the_same_is_no_refusal(
    patient: Devnet, slow: ChainClient
) -> None:
    """EthereumJS without peers answers so: it takes the transaction into its pool and says that it
    has no peer, and when asked again that the pool has it."""
    keys, call = patient.new_account(), payment()
    sent: list[str] = []

    def deny(message: Message) -> Message | None:
        if message["method"] != "eth_sendRawTransaction":
            return None
        sent.append(message["params"][0])
        if len(sent) > 1:
            return {"code": -32602, "message": "0xf4dc: this transaction is already in the TxPool"}
        slow.rpc.call("eth_sendRawTransaction", sent[0])
        return {"code": -32603, "message": "no peer connection available"}

    with node_in_front(patient.url, deny) as url:
        ours = sender(ChainClient.connect(url, slow.deployment), timeout=0.1)
        with pytest.raises(TransactionTimeout):
            ours.send(keys, call)
        patient.mine()
        assert ours.send(keys, call).status == 1
    assert nonce_of(slow, keys) == 1


def test_several_calls_are_under_way_at_once(patient: Devnet, slow: ChainClient) -> None:
    keys, calls = patient.new_account(), [payment() for _ in range(8)]
    ours = sender(slow, timeout=0.05)
    for call in calls:
        with pytest.raises(TransactionTimeout):
            ours.send(keys, call)
    patient.mine()
    assert len({ours.send(keys, call).block for call in calls}) == 1
    assert nonce_of(slow, keys) == 8


def test_a_missing_nonce_below_ours_is_filled(
    patient: Devnet, slow: ChainClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node counts a transaction that does not exist."""
    monkeypatch.setattr(sending, "GAP_PATIENCE", 0.3)
    keys, call = patient.new_account(), payment()

    def one_too_high(message: Message, result: object) -> object:
        counted = (
            message["method"] == "eth_getTransactionCount" and message["params"][1] == "pending"
        )
        return hex(int(str(result), 16) + 2) if counted else result

    with node_in_front(patient.url, told=one_too_high) as url, ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(sender(ChainClient.connect(url, None)).send, keys, call)
        wait_until(lambda: set(pool(slow, keys)) == {0, 1, 2}, "the gap stays")
        patient.mine()
        assert waiting.result().status == 1
    assert nonce_of(slow, keys) == 3


def test_a_transaction_that_the_node_dropped_is_broadcast_again(
    patient: Devnet, slow: ChainClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "AGAIN_AFTER", 0.2)
    keys, call = patient.new_account(), payment()
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(sender(slow).send, keys, call)
        pending_fee(slow, keys)
        slow.rpc.call("anvil_dropAllTransactions")
        wait_until(lambda: pool(slow, keys), "it stays dropped")
        patient.mine()
        assert waiting.result().status == 1


def test_a_call_is_not_repeated_before_its_caller_can_have_seen_it(
    anvil: Devnet, client: ChainClient, participant: AccountKeys
) -> None:
    """A daemon decides from a block below the head; it must not repeat what it did above it."""
    ours, call = sender(client), payment()
    before = nonce_of(client, participant)
    ours.seen_block = client.frame().block_number
    first = ours.send(participant, call)
    assert ours.send(participant, call) == first
    assert nonce_of(client, participant) == before + 1
    ours.seen_block = first.block
    assert ours.send(participant, call).tx_hash != first.tx_hash


def test_what_the_contract_would_refuse_by_now_is_cancelled(
    patient: Devnet, patient_deployment: Deployment, slow: ChainClient
) -> None:
    """Its estimate reverts after a long wait: what it was to do has become impossible."""
    registrar, newcomer = patient.new_account(), patient.new_account()
    slow.rpc.call("evm_setAutomine", True)
    deployment = deployed_contracts(patient, registrar)
    client = ChainClient.connect(patient.url, deployment)
    expected = nonce_of(slow, registrar)
    slow.rpc.call("evm_setIntervalMining", 0)
    patient.fund(registrar.address)
    call = client.registry.function("admit", newcomer.address, 1, b"k" * 32, b"p" * 32, b"a" * 32)
    refuses: list[bool] = []

    def revert(message: Message) -> Message | None:
        if refuses and message["method"] == "eth_estimateGas":
            return {"code": 3, "message": "execution reverted", "data": "0x"}
        return None

    with node_in_front(patient.url, revert) as url:
        ours = sender(ChainClient.connect(url, deployment), timeout=0.05, bump_after=0.0)
        with pytest.raises(TransactionTimeout):
            ours.send(registrar, call)
        refuses.append(True)
        ours.tend(registrar)
        patient.mine()
        with pytest.raises(Reverted):
            ours.send(registrar, call)
    assert nonce_of(slow, registrar) == expected + 1
    assert not client.registry.participant(newcomer.address).active


def test_nothing_is_sent_above_the_highest_fee(patient: Devnet, slow: ChainClient) -> None:
    keys, call = patient.new_account(), payment()
    slow.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(20_000 * 10**9))
    patient.mine()
    ours = Sender(slow.rpc, slow.chain_id, slow.decode, max_fee=500 * 10**9)
    with pytest.raises(
        FeeTooHigh, match=r"gas costs 200\d\d.* gwei, more than max_fee_gwei \(500\)"
    ):
        ours.send(keys, call)
    assert pool(slow, keys) == {}
    slow.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(10**9))
    patient.mine()


def test_the_data_fee_of_a_rollup_is_part_of_the_cost(
    anvil: Devnet, client: ChainClient, participant: AccountKeys
) -> None:
    """An oracle that returns 12,345 wei, at the address of OP Stack's."""
    costs: list[int] = []
    call = payment()
    ours = sender(client)
    ours.allow = lambda _, wei: costs.append(wei)
    ours.send(participant, call)
    client.rpc.call("anvil_setCode", L1_FEE_ORACLE, "0x61303960005260206000f3")
    try:
        ours = sender(client)
        ours.allow = lambda _, wei: costs.append(wei)
        ours.send(participant, payment())
        assert ours._market.data_fee(call) == 12_345
    finally:
        client.rpc.call("anvil_setCode", L1_FEE_ORACLE, "0x")
    assert FeeMarket(client.rpc).data_fee(call) == 0


def test_a_chain_without_base_fees_gets_a_gas_price(
    anvil: Devnet, client: ChainClient, participant: AccountKeys
) -> None:
    sent: list[str] = []

    def legacy(message: Message, result: object) -> object:
        if message["method"] == "eth_getBlockByNumber" and isinstance(result, dict):
            return {name: value for name, value in result.items() if name != "baseFeePerGas"}
        return result

    def habit(message: Message) -> Message | None:
        if message["method"] == "eth_sendRawTransaction":
            sent.append(message["params"][0])
        if message["method"] == "eth_maxPriorityFeePerGas":
            return {"code": -32601, "message": "Method not found"}
        return None

    with node_in_front(anvil.url, habit, legacy) as url:
        receipt = sender(ChainClient.connect(url, client.deployment)).send(participant, payment())
    assert receipt.status == 1
    assert int(sent[0][2:4], 16) >= 0xC0  # a list, without a type before it (EIP-2718)
