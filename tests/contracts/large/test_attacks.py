"""What was possible before the draw waited for a later block (docs/adr/0070)."""

from __future__ import annotations

from typing import Any

from tests.contracts.large.kit import LargeRounds
from tests.contracts.rounds.kit import WINDOW
from tests.support.chainkit import Reverted

FRIENDS = (0, 3, 6)
"""Three of twelve; two of them are a quorum of a committee of three in one draw of eight."""
QUORUM = 2
TRIES = 40
ROUNDS = 6


def open_by_choice(r: LargeRounds, at: str, call: str) -> bool:
    """Whether a caller with code, at this address, finds a block in which the call opens a round
    to a quorum of friends."""
    code = r.chain.compiled["ChoosyCaller"]
    choosy = r.chain.w3.eth.contract(at, abi=code.abi)
    friends = sum(1 << index for index in FRIENDS)
    args = (r.on.rounds.address, r.on.pool.address, r.id, call, friends, QUORUM)
    for _ in range(TRIES):
        try:
            r.note(r.chain.send(r.stranger, choosy.functions.open(*args)))
            return len(set(FRIENDS) & set(r.judges)) >= QUORUM
        except Reverted:
            continue
    return False


def choosy_at(r: LargeRounds, address: str) -> str:
    deployed = r.chain.deploy("ChoosyCaller", r.stranger)
    code = r.chain.w3.eth.get_code(deployed.address).to_0x_hex()
    r.chain.rpc("anvil_setCode", address, code)
    return address


def test_nobody_chooses_who_judges_by_the_block(waiting: Any) -> None:
    """A member starts by its account's code, and a quorum keeps what it signed until a block draws
    friends to judge next: by chance alone it would win all rounds once in 240,000 runs."""
    r: LargeRounds = waiting(startWindow=WINDOW, maxRounds=ROUNDS)
    starter = choosy_at(r, r.members[0].address)
    poster = choosy_at(r, "0x" + "77" * 20)
    call = r.on.rounds.encode_abi("start", [r.id, 0, r.start_facts])
    won = [open_by_choice(r, starter, call)]
    while r.facts.round == len(won) and len(won) < ROUNDS:
        args = r.post_large(send=False)
        r.chain.mine_at(r.facts.deadline + 1)
        won.append(open_by_choice(r, poster, r.on.rounds.encode_abi("post", [r.id, *args])))
    assert won != [True] * ROUNDS
