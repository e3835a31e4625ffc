"""Who acts first where anyone may: members take turns, so that only one pays for it."""

from fedpact.provider.request.view import RequestView
from fedpact.types.requests import seats_of

TURN_SECONDS = 2
"""How long each member waits for the members before it, in seconds of the chain's time."""


def my_turn(view: RequestView, seats: int) -> bool:
    """Whether it is this member's turn among a mask of seats; another seat goes first each round.

    Nobody else acts, but whoever has a seat may once all turns are over.
    """
    if view.own_seat is None:
        return False
    turns = seats_of(seats)
    place = len(turns) + view.seat
    if view.seat in turns:
        place = (turns.index(view.seat) - view.round) % len(turns)
    return view.waited() >= place * TURN_SECONDS


def due_turn(view: RequestView, action: str, seats: list[int], first: int, after: int = 0) -> bool:
    """Whether it is this member's turn for something that has been due for a while.

    `seats`: those that may act; `first` of them goes first, once it has been due for `after`
    seconds of the chain's time.
    """
    if view.own_seat not in seats:
        return False
    key = (view.id, view.round, int(view.facts.phase), action)
    since = view.ctx.cache.first_seen.setdefault(key, view.frame.timestamp)
    begin = seats.index(first) if first in seats else 0
    place = (seats.index(view.seat) - begin) % len(seats)
    return view.frame.timestamp - since >= after + place * TURN_SECONDS


def my_turn_in_pool(view: RequestView, first: int) -> bool:
    """Whether it is this member's turn among all members of the pool, counted from `first`."""
    if view.own_index is None:
        return False
    place = (view.own_index - first) % len(view.pool)
    return view.waited() >= place * TURN_SECONDS
