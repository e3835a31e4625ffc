"""Calls that carry the signatures of contract wallets, which may not stand by them:
docs/adr/0068-wallets-speak-by-their-owners.md."""

from collections.abc import Sequence

from fedpact.chain.records import Call, Receipt
from fedpact.errors import Reverted
from fedpact.exchange.messages import Message
from fedpact.provider.duties.messages import Talk
from fedpact.provider.request.view import RequestView

NOT_STOOD_BY = ("SeatSignatures_NotSigned", "NoReason", "OutOfGas")
"""Errors of a call that held the signature of a wallet which does not take it any more. It can
still take it whenever the call is repeated for its error, which then has no reason."""


def send_signed(view: RequestView, talk: Talk, call: Call, messages: Sequence[Message]) -> Receipt:
    """Send a call that carries these messages' signatures. If it fails as if a wallet did not stand
    by its own, no wallet of them comes along again in this request: the failure costs whoever
    posts, and the wallet nothing."""
    try:
        return view.ctx.client.send(view.ctx.keys, call)
    except Reverted as error:
        if error.name in NOT_STOOD_BY:
            speakers = {talk.board.ballot.speaker(one) for one in messages if one.wallet}
            unsure = {(view.id, one) for one in speakers if one and one != view.account}
            view.ctx.cache.unsure_wallets.update(unsure)
        raise


def left_out(view: RequestView, talk: Talk, message: Message) -> bool:
    """Whether a message is of a wallet that may not stand by it."""
    said = talk.board.ballot.speaker(message)
    return bool(message.wallet) and (view.id, said) in view.ctx.cache.unsure_wallets
