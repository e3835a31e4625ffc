"""Calls that carry the signatures of contract wallets, which may not stand by them:
docs/adr/0068-wallets-speak-by-their-owners.md."""

from collections.abc import Mapping, Sequence

from fedpact.chain.records import Call, Receipt
from fedpact.errors import Reverted
from fedpact.exchange.messages import Message
from fedpact.provider.duties.messages import Talk
from fedpact.provider.request.view import RequestView

NOT_STOOD_BY = ("SeatSignatures_NotSigned", "NoReason", "OutOfGas")
"""Errors of a call that held the signature of a wallet which does not take it any more. It can
still take it whenever the call is repeated for its error, which then has no reason."""


MOST_FAILED = 4
"""Calls of a request that a member lets fail so, to find a quorum of a large round among wallets of
which some do not stand by what they sign."""


def send_signed(view: RequestView, talk: Talk, call: Call, messages: Sequence[Message]) -> Receipt:
    """Send a call that carries these messages' signatures. If it fails as if a wallet did not stand
    by its own, all wallets of it are left out from then on in this request, unless a quorum needs
    them: the failure costs whoever posts, and the wallet nothing."""
    try:
        return view.ctx.client.send(view.ctx.keys, call)
    except Reverted as error:
        if error.name in NOT_STOOD_BY:
            speakers = {talk.board.ballot.speaker(one) for one in messages if one.wallet}
            unsure = frozenset(one for one in speakers if one and one != view.account)
            if unsure:
                view.ctx.cache.unsure_wallets.setdefault(view.id, []).append(unsure)
        raise


def left_out(view: RequestView, talk: Talk, message: Message) -> bool:
    """Whether a message is of a wallet that may not stand by it."""
    return _failures(view, talk, message) > 0


def quorum_of(
    view: RequestView, talk: Talk, signed: Mapping[int, Message], needed: int
) -> dict[int, Message]:
    """Those of a record's signatures, by seat, with which it is posted: all but of wallets that are
    left out. Where these are too few, as many of those come along again as are needed: who failed
    least often, and of these who sits next, so that judges try different ones."""
    failures = {seat: _failures(view, talk, one) for seat, one in signed.items()}
    found = [seat for seat in signed if not failures[seat]]
    if len(view.ctx.cache.unsure_wallets.get(view.id, ())) < MOST_FAILED:
        seats = len(view.cohort.members)
        doubted = sorted(
            (seat for seat in signed if failures[seat]),
            key=lambda seat: (failures[seat], (seat - view.seat) % seats),
        )
        found += doubted[: max(needed - len(found), 0)]
    return {seat: signed[seat] for seat in sorted(found)}


def _failures(view: RequestView, talk: Talk, message: Message) -> int:
    """Of calls with the signature of a message's wallet."""
    said = talk.board.ballot.speaker(message) if message.wallet else None
    return sum(said in one for one in view.ctx.cache.unsure_wallets.get(view.id, ()))
