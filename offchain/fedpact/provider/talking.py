"""The messages of the present round, as duties see them: what is held, and what to say."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fedpact.errors import Retryable
from fedpact.exchange.messages import Board, Kind, Message, decode
from fedpact.exchange.peers import endpoint_in
from fedpact.provider.reading import ballot_of
from fedpact.provider.view import RequestView, digest_of

if TYPE_CHECKING:
    from fedpact.exchange.boards import Exchange

log = logging.getLogger(__name__)


class Talk:
    """One round's exchange, opened or gone on with."""

    def __init__(self, view: RequestView, exchange: "Exchange") -> None:
        self._view, self._exchange = view, exchange
        self._place = (view.id, view.round)
        said = view.ctx.state.said
        exchange.open(
            ballot_of(view, view.round, view.facts.history, view.cohort),
            peers_of(view),
            lambda: [decode(body.encode())[0] for body in said.heard(*self._place)],
        )
        exchange.forget(view.id, view.round)
        self.board: Board = exchange.board(self._place)
        fresh = exchange.fresh(self._place)
        if fresh:
            said.hear(*self._place, [(one.kind, one.seat, _body(one)) for one in fresh])

    def held(self, kind: Kind) -> Mapping[int, Message]:
        """The messages of a kind, by seat."""
        return self.board.held(kind)

    def say(self, kind: Kind, value: bytes, extra: bytes = b"") -> bool:
        """Say something once; False where this account has said something else before.

        The state's row comes first, then the signature, then the message.
        """
        view = self._view
        own = Message(kind=kind, seat=view.seat, value=value.hex(), extra=extra.hex())
        known = self.board.messages.get(own.at)
        if known is not None:
            return (known.value, known.extra) == (own.value, own.extra)
        if not view.ctx.state.said.may_say(*self._place, kind, _body(own)):
            log.error("request %d, round %d: not signing another %s", view.id, view.round, kind)
            return False
        if kind is not Kind.REVEAL:
            signature = view.ctx.keys.sign_typed(*self.board.ballot.typed(own))
            own = own.model_copy(update={"signature": signature.hex()})
        self._exchange.say(self._place, own)
        self.board.take(own)
        view.ctx.state.said.hear(*self._place, [(kind, view.seat, _body(own))])
        return True


def peers_of(view: RequestView) -> list[str]:
    """Addresses of the other members' daemons, from the records with which they joined."""
    known = view.ctx.cache.peers.setdefault(view.id, {})
    for event in view.events("Joined"):
        account = str(event["provider"])
        if account not in known:
            try:
                known[account] = endpoint_in(view.ctx.store, digest_of(event["attributes"]))
            except Retryable as error:
                log.debug("request %d: the record of %s: %s", view.id, account, error)
    members = {member.account for member in view.cohort.members} - {view.account}
    return sorted({known[one] for one in members if known.get(one)})


def _body(message: Message) -> str:
    return "[" + message.model_dump_json() + "]"
