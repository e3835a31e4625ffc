"""How a committee comes to go by one proposal, whatever the judge says whose turn it is.

Seats take turns, another one first in each round. Whose turn it is proposes. The others support one
proposal of each turn, the first that holds in their eyes and whose maker has not said two, and all
go by a proposal once a quorum supports it, its maker included. Two proposals of one turn split the
supporters, so that neither gets a quorum, and the next seat proposes: nobody has gone by either.

Support passes on what is supported (`exchange`). A judge that has supported one turn's proposal
waits a turn's time before it supports a later one, so that it hears by then whether the first got
its quorum. Else some might go by one, and some by the other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from fedpact.exchange.messages import Kind, Message
from fedpact.provider.duties.large_rounds.submitting import needed_of
from fedpact.provider.duties.messages import Talk
from fedpact.provider.duties.turns import TURN_SECONDS
from fedpact.provider.request.view import LargeView

log = logging.getLogger(__name__)

TURN_PART = 0.1
"""Share of the commit window that a turn takes, two seconds at least."""
WITNESSES = 2
"""Supporters besides its maker that show a proposal of which that seat's own word is not here: one
alone may have made it up."""
MOST_REFUSED = 128
"""Of a round's proposals that can never hold, how many are remembered: more than a board has."""
T = TypeVar("T")
Right = Callable[[Message], T | None]
"""What a proposal says, if it holds; None for another, or while something of it is looked for.
Raises Spoilt for one that can never hold."""


class Spoilt(Exception):
    """A proposal is malformed, or has a signature that is not its seat's. Its digest is that of its
    content, so that it stays so."""


class Proposals:
    """Of one round, as one judge sees them."""

    def __init__(self, view: LargeView, talk: Talk) -> None:
        self._view, self._talk = view, talk
        seats = len(view.cohort.members)
        self.order = [(view.round + place) % seats for place in range(seats)]
        """Seats in the order of their turns."""

    def settled(self, kind: Kind, before: Kind, right: Right[T], *, ready: bool) -> T | None:
        """The proposal of a kind that all go by, once there is one; supports one if that is due.
        Seats that said nothing of the kind `before` have no turn. `ready`: whether all is here that
        a proposal could wait for; turns begin with that."""
        if ready:
            self._seen(kind)
        found = self._carried(kind, right)
        if found is None and self._support(kind, before, right):
            found = self._carried(kind, right)
        return found

    def may_propose(self, kind: Kind, before: Kind) -> bool:
        """Whether this seat may say now what it proposes."""
        return self._is_free_for(kind, before, self._view.seat)

    def propose(self, kind: Kind, value: bytes, more: bytes = b"") -> None:
        """`more`: what the message has behind the seat that proposes."""
        self._say(kind, self._view.seat, value, more)

    # ------------------------------------------------------------------ what is supported

    def _carried(self, kind: Kind, right: Right[T]) -> T | None:
        words: dict[tuple[str, str], list[Message]] = {}
        for one in self._talk.board.all():
            if one.kind is kind:
                words.setdefault((one.extra, one.value), []).append(one)
        for said in words.values():
            maker = said[0].proposer
            others = {one.seat for one in said} - {maker}
            shown = len(others) >= WITNESSES or any(one.seat == maker for one in said)
            if len(others) + shown >= needed_of(self._view):
                found = self._found(said[0], right)
                if found is not None:
                    return found
        return None

    def _found(self, message: Message, right: Right[T]) -> T | None:
        """What a proposal says. One that can never hold is not checked again: a list may have a
        thousand signatures."""
        view, refused = self._view, self._view.ctx.cache.refused
        present = (view.id, view.round, view.start)
        at = (*present, message.kind.value, message.content)
        if at in refused:
            return None
        try:
            return right(message)
        except Spoilt as error:
            said = f"the {message.kind} 0x{message.value} of seat {message.proposer}"
            log.warning("request %d, round %d: %s: %s", view.id, view.round, said, error)
            known = {one for one in refused if one[0] == view.id}
            over = {one for one in known if one[:3] != present}
            refused -= over
            if len(known - over) < MOST_REFUSED:
                refused.add(at)
            return None

    def _support(self, kind: Kind, before: Kind, right: Right[T]) -> bool:
        """Support the first proposal that holds, or repeat in the own turn what was supported and
        got no quorum: some may have seen only now that it holds."""
        for seat in self.order:
            said = self._proposed(kind, seat)
            due = len(said) == 1 and self._is_free_for(kind, before, seat)
            if due and self._found(said[0], right) is not None:
                self._say(kind, seat, said[0].content, said[0].more[1:])
                return True
        last = self._last(kind)
        if last is None or len(self._proposed(kind, last.proposer)) != 1:
            return False
        if not self.may_propose(kind, before):
            return False
        self.propose(kind, last.content, last.more[1:])
        return True

    def _proposed(self, kind: Kind, seat: int) -> list[Message]:
        """What a seat proposes: two proposals show that it says different things."""
        board, at = self._talk.board, Message.place_of(kind, seat, seat)
        return [one[at] for one in (board.messages, board.contradictions) if at in one]

    def _last(self, kind: Kind) -> Message | None:
        """The latest turn's proposal that this judge supports."""
        own = [
            one
            for one in self._talk.board.messages.values()
            if one.kind is kind and one.seat == self._view.seat
        ]
        return max(own, key=lambda one: self.order.index(one.proposer), default=None)

    def _say(self, kind: Kind, seat: int, value: bytes, more: bytes) -> None:
        self._talk.say(kind, value, bytes([seat]) + more)
        self._seen(f"{kind} of {seat}")

    # ------------------------------------------------------------------ time

    def _is_free_for(self, kind: Kind, before: Kind, seat: int) -> bool:
        """Whether this judge may support what a seat proposes: in its turn, and after that of what
        it has supported, if there was time enough for a quorum of that."""
        last, place = self._last(kind), self.order.index(seat)
        now, turn = self._view.frame.timestamp, self._turn
        if last is not None:
            if self.order.index(last.proposer) >= place:
                return False
            if now - self._seen(f"{kind} of {last.proposer}") < turn:
                return False
        there, begun = self._talk.held(before), self._at(kind) in self._view.ctx.cache.first_seen
        waits = turn * sum(one in there for one in self.order[:place])
        return not waits or (begun and now - self._seen(kind) >= waits)

    @property
    def _turn(self) -> float:
        return max(TURN_SECONDS, TURN_PART * self._view.terms.commit_window)

    def _seen(self, what: str) -> int:
        """When this judge first reached a step."""
        view = self._view
        return view.ctx.cache.first_seen.setdefault(self._at(what), view.frame.timestamp)

    def _at(self, what: str) -> tuple[int, int, str, str]:
        return self._view.id, self._view.round, self._view.start, what
