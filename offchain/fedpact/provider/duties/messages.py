"""The messages of the present round, as duties see them: what is held, and what to say."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from fedpact.errors import ContentSought, Retryable
from fedpact.exchange.messages import Forged, Kind, Message, RoundMessages, decode
from fedpact.exchange.peer_address import RECORD_MAX_BYTES, endpoint_in
from fedpact.provider.request.reading import ballot_of, fetched
from fedpact.provider.request.view import RequestView, digest_of
from fedpact.types.cid import Cid

if TYPE_CHECKING:
    from fedpact.exchange.gossip import Exchange

log = logging.getLogger(__name__)


class Talk:
    """One round's exchange, opened or gone on with."""

    def __init__(self, view: RequestView, exchange: "Exchange", peers: Sequence[str]) -> None:
        """`peers`: addresses of the other members' daemons, as far as they are known."""
        self._view, self._exchange = view, exchange
        self._place = (view.id, view.round)
        said = view.ctx.state.said
        ballot = ballot_of(view, view.round, view.facts.history, view.cohort)
        self._key = ballot.key
        kinds = [ballot.key(kind) for kind in Kind]
        exchange.open(
            ballot,
            peers,
            lambda: [decode(body.encode())[0] for body in said.heard(*self._place, kinds)],
        )
        exchange.forget(view.id, view.round)
        self.board: RoundMessages = exchange.board(self._place)
        fresh = exchange.fresh(self._place)
        if fresh:
            heard = [(self._key(one.kind), one.seat, _body(one)) for one in fresh]
            said.hear(*self._place, heard)

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
        key = self.board.ballot.own_key(own)
        if not view.ctx.state.said.may_say(*self._place, key, _body(own)):
            log.error("request %d, round %d: not signing another %s", view.id, view.round, kind)
            return False
        if kind is not Kind.REVEAL:
            own = own.signed_with(view.ctx.keys.sign_typed(*self.board.ballot.typed(own)))
        try:
            self._exchange.say(self._place, own)
        except Forged as error:
            log.error("request %d, round %d: the wallet refuses its owner: %s", *self._place, error)
            return False
        self.board.take(own)
        view.ctx.state.said.hear(*self._place, [(self._key(kind), view.seat, _body(own))])
        return True


def peers_of(view: RequestView) -> list[str] | None:
    """Addresses of the other members' daemons, from the records with which they joined; None while
    none is known and a record is looked for the first time. A member that waited for one that is
    nowhere would make no calls of its own."""
    known = view.ctx.cache.peers.setdefault(view.id, {})
    members = {member.account for member in view.cohort.members} - {view.account}
    sought = bool(members - known.keys()) and _look_up(view, members - known.keys(), known)
    found = sorted({known[one] for one in members if known.get(one)})
    return None if sought and not found else found


def _look_up(view: RequestView, accounts: set[str], known: dict[str, str]) -> bool:
    """Read where daemons are; whether a record is looked for that was not missing before."""
    records = {
        str(event["provider"]): digest_of(event["attributes"])
        for event in view.events("Joined")  # the last one, where an account has joined again
        if event["provider"] in accounts
    }
    for digest in records.values():
        cid = Cid.of_digest(digest, RECORD_MAX_BYTES)
        view.ctx.fetching.begin(view.id, cid, RECORD_MAX_BYTES)
    sought = False
    for account, digest in records.items():
        what = f"record of {account}"
        try:
            known[account] = endpoint_in(partial(fetched, view, what=what), digest)
        except Retryable as error:
            sought |= isinstance(error, ContentSought) and not error.again
            log.debug("request %d: the %s: %s", view.id, what, error)
    return sought


def _body(message: Message) -> str:
    return "[" + message.model_dump_json() + "]"
