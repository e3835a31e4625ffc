"""The longest honest board of a round: sixteen contract wallets that support each proposal."""

from collections.abc import Collection

import pytest
from eth_utils.crypto import keccak

from fedpact.chain.contract_wallets import MOST_SIGNATURE, WalletSignatures
from fedpact.chain.signed_messages import Domain, WalletSignature
from fedpact.exchange.messages import PROPOSALS, SLICE_SEAT, Kind, LargeBallot, Message
from fedpact.exchange.sending import AT_ONCE
from tests.offchain.exchange.test_gossip import exchanging
from tests.support.waiting import wait_until

PLACE = (7, 2)
SALT = keccak(text="salt")


class Willing:
    """A node whose wallets take every signature."""

    def call(self, method: str, *params: object) -> str:
        return "0x1626ba7e" + "00" * 28


def ballot(seats: int) -> LargeBallot:
    accounts = tuple(f"0x{seat + 1:040x}" for seat in range(seats))
    wallets = WalletSignatures(Willing())  # type: ignore[arg-type]
    domain = Domain(31337, "0x" + "12" * 20)
    return LargeBallot(domain, *PLACE, b"\5" * 32, accounts, (accounts[0],), wallets)


def full_board(of: LargeBallot, steps: Collection[Kind]) -> list[Message]:
    """What all say in a round in which each seat has proposed something in each of these steps."""
    found = []

    def say(kind: Kind, seat: int, value: bytes, extra: bytes = b"") -> None:
        unsigned = Message(kind=kind, seat=seat, value=value.hex(), extra=extra.hex())
        noise = keccak(unsigned.model_dump_json().encode()) * 9
        found.append(unsigned.signed_with(WalletSignature(noise[:MOST_SIGNATURE])))

    say(Kind.SLICE, SLICE_SEAT, bytes(80), bytes.fromhex(of.accounts[0][2:]))
    for seat, account in enumerate(of.accounts):
        sheet = keccak(bytes([seat]))
        say(Kind.HELD, seat, sheet)
        say(
            Kind.VOTE, seat, of.domain.commitment(*PLACE, account, int(sheet.hex(), 16), SALT), SALT
        )
        say(Kind.REVEAL, seat, sheet, SALT)
        say(Kind.ATTEST, seat, sheet, bytes(2))
        say(Kind.ROUND, seat, sheet)
        for kind in steps:
            for maker in range(len(of.accounts)):
                more = b"" if kind is Kind.TALLY else bytes(2)
                say(kind, seat, keccak(bytes([maker])), bytes([maker]) + more)
    return found


@pytest.mark.parametrize(
    ("seats", "steps"),
    [(10, PROPOSALS[:1]), pytest.param(16, PROPOSALS, marks=pytest.mark.slow)],
    ids=["short", "full"],
)
def test_a_long_board_reaches_a_judge_that_has_nothing_of_it(
    seats: int, steps: Collection[Kind]
) -> None:
    """The full one was over what an endpoint takes: no other judge ever heard of it."""
    of = ballot(seats)
    said = full_board(of, steps)
    assert len(said) > AT_ONCE
    with exchanging(False) as full, exchanging() as empty:
        empty.open(of, [], lambda: ())
        full.open(of, [empty.own], lambda: said)
        assert len(full.board(PLACE).all()) == len(said)
        wait_until(lambda: len(empty.board(PLACE).all()) == len(said))
        assert sorted(empty.board(PLACE).messages) == sorted(full.board(PLACE).messages)
