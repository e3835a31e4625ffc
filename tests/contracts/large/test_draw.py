"""One test for each leaf of draw.tree."""

from __future__ import annotations

from typing import Any

import pytest
import rlp
from eth_utils import keccak

from fedpact.chain.headers import encoded
from fedpact.consensus.draw import next_seed
from tests.contracts.large.kit import DRAW_DELAY, LargeRounds
from tests.contracts.rounds.kit import WINDOW
from tests.support.chainkit import Reverted, events

HISTORY = "0x0000F90827F1C53a10cb7A02335B175320002935"
"""EIP-2935."""
HELD = 8_191
"""Blocks whose hashes it holds, each in the slot of its number modulo this."""


@pytest.fixture
def r(running: Any) -> LargeRounds:
    made: LargeRounds = running()
    return made


def age(r: LargeRounds, blocks: int) -> None:
    """The block that draws will be so many blocks old in the next one."""
    behind = r.facts.drawBlock + blocks - 1 - r.chain.w3.eth.block_number
    r.chain.rpc("anvil_mine", hex(behind), "0x0")


def drawn(r: LargeRounds) -> bool:
    """Whether `draw` takes the header of the block, and not another block."""
    expected, round_ = r.seed, r.facts.round
    found = events(r.on.rounds, "CommitteeDrawn", r.send(r.stranger, "draw", r.header))
    assert found in ([], [{"request": r.id, "round": round_, "seed": expected}])
    return bool(found) and (bytes(r.facts.seed), r.facts.drawBlock) == (expected, 0)


def test_a_draw_waits_for_a_later_block(chain: Any, accounts: Any, contracts: Any) -> None:
    at = (contracts.pool.address, contracts.market.address)
    with pytest.raises(Reverted):
        chain.deploy("LargeRounds", accounts[0], *at, 0)
    made = chain.deploy("LargeRounds", accounts[0], *at, 1)
    assert made.functions.drawDelay().call() == 1


def test_only_a_round_under_way_is_drawn(waiting: Any, expect_revert: Any) -> None:
    r: LargeRounds = waiting(maxRounds=2)
    with expect_revert("TrainingRounds_WrongPhase"):
        r.draw()
    r.start()
    r.await_block()
    header = r.header
    r.chain.next_at(r.facts.deadline + 3 * WINDOW + 1)
    with expect_revert("TrainingRounds_WrongPhase"):
        r.draw(header)
    r.close()
    assert r.facts.drawBlock == 0
    with expect_revert("TrainingRounds_WrongPhase"):
        r.draw(header)
    r.start(1)
    r.post_large()
    r.post_large()
    assert r.facts.drawBlock == 0
    with expect_revert("TrainingRounds_WrongPhase"):
        r.draw(header)


def test_a_committee_is_drawn_once(r: LargeRounds, expect_revert: Any) -> None:
    header = r.header
    r.draw()
    with expect_revert("LargeRounds_Drawn", r.id, 1):
        r.draw(header)


def test_a_block_to_come_draws_nothing(waiting: Any, expect_revert: Any) -> None:
    r: LargeRounds = waiting()
    r.start()
    number = r.facts.drawBlock
    while r.chain.w3.eth.block_number < number:
        with expect_revert("BlockHeader_Wrong", number):
            r.send(r.stranger, "draw", encoded(r.block("latest")))
    assert r.chain.w3.eth.block_number == number
    assert drawn(r)


def test_another_header_draws_nothing(r: LargeRounds, expect_revert: Any) -> None:
    number, header = r.facts.drawBlock, r.header
    changed = header[:100] + bytes([header[100] ^ 1]) + header[101:]
    for other in (encoded(r.block(number - 1)), changed, header[:-1], header + b"\x00", b""):
        with expect_revert("BlockHeader_Wrong", number):
            r.draw(other)
    assert drawn(r)


def test_a_committee_is_drawn_until_the_last_second(r: LargeRounds) -> None:
    r.await_block()
    expected, header = r.seed, r.header
    r.chain.next_at(r.facts.deadline + 3 * WINDOW)
    receipt = r.draw(header)
    assert (bytes(r.facts.seed), r.facts.drawBlock) == (expected, 0)
    [event] = events(r.on.rounds, "CommitteeDrawn", receipt)
    assert event == {"request": r.id, "round": 1, "seed": expected}
    assert [r.members[index] for index in r.judges] == r.seats


def test_the_history_contract_knows_older_blocks(r: LargeRounds) -> None:
    age(r, 257)
    assert drawn(r)


def test_without_history_a_block_is_known_for_256_blocks(r: LargeRounds) -> None:
    r.chain.rpc("anvil_setCode", HISTORY, "0x")
    age(r, 256)
    assert drawn(r)


@pytest.mark.parametrize("history", [False, True])
def test_another_block_draws_where_one_is_forgotten(r: LargeRounds, history: bool) -> None:
    """Anvil takes minutes for 8,191 blocks: the hash is taken away from the contract instead."""
    before = r.facts.seed
    age(r, 257)
    if history:
        slot = hex(r.facts.drawBlock % HELD)
        r.chain.rpc("anvil_setStorageAt", HISTORY, slot, "0x" + "00" * 32)
    else:
        r.chain.rpc("anvil_setCode", HISTORY, "0x")
    receipt = r.send(r.stranger, "draw", b"")
    number = r.chain.w3.eth.block_number + DRAW_DELAY
    assert (r.facts.drawBlock, r.facts.seed) == (number, before)
    [moved] = events(r.on.rounds, "DrawMoved", receipt)
    assert moved == {"request": r.id, "round": 1, "drawBlock": number}
    r.await_block()
    assert drawn(r)


def test_the_next_round_has_a_block_of_its_own(r: LargeRounds) -> None:
    r.post_large()
    before = r.facts.seed
    r.close_large()
    number = r.facts.drawBlock
    assert number == r.chain.w3.eth.block_number + DRAW_DELAY
    assert r.seed == next_seed(before, int(r.block(number)["mixHash"], 16))


@pytest.mark.parametrize("extra", [0, 1, 32, 55, 56, 97, 300])
def test_headers_of_other_chains_have_longer_fields(r: LargeRounds, extra: int) -> None:
    """Made up, and put where the history contract has the hash."""
    number = r.facts.drawBlock
    fields = list(rlp.decode(encoded(r.block("latest"))))
    fields[12], fields[13] = b"\x7f" * extra, b"\xa5" * 32
    header = rlp.encode(fields)
    before = r.facts.seed
    age(r, 257)
    r.chain.rpc("anvil_setStorageAt", HISTORY, hex(number % HELD), f"0x{keccak(header).hex()}")
    r.send(r.stranger, "draw", header)
    assert r.facts.seed == next_seed(before, int("a5" * 32, 16))


def test_a_round_is_posted_with_its_own_header(r: LargeRounds, expect_revert: Any) -> None:
    number = r.facts.drawBlock
    for other in (b"", encoded(r.block(number - 1))):
        with expect_revert("BlockHeader_Wrong", number):
            r.post_large(header=other)
    r.post_large()
    assert r.facts.round == 2


def test_a_drawn_round_needs_no_header(r: LargeRounds) -> None:
    r.draw()
    seed = bytes(r.facts.seed)
    receipt = r.post_large(header=b"\x07")
    assert events(r.on.rounds, "CommitteeDrawn", receipt) == []
    assert bytes(r.facts.seed) == seed


def test_nobody_forces_before_it_is_known_who_judges(r: LargeRounds, expect_revert: Any) -> None:
    with expect_revert("LargeRounds_NotDrawn", r.id, 1, r.facts.drawBlock):
        r.send(r.members[0], "force", 0, r.digest(0))
