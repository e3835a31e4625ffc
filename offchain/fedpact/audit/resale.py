"""Checks of a result's resales and of the search on record."""

from collections.abc import Callable
from functools import cached_property

from eth_hash.auto import keccak

from fedpact.audit.chain import Facts
from fedpact.audit.history import AuditHistory
from fedpact.audit.pool import PoolChecks
from fedpact.audit.report import require
from fedpact.audit.request_events import Evidence
from fedpact.audit.retrieval import check_record
from fedpact.chain.bindings.events import (
    KeySealed,
    Place,
    PointsTallied,
    PurchaseRefunded,
    ResaleClaimed,
    ResaleOffered,
    ResultBought,
    ResultSold,
    SealDisputed,
)
from fedpact.consensus.payout import fold, sums_of
from fedpact.content.bn254 import Point
from fedpact.content.delivery import Deliveries
from fedpact.content.store import ContentStore
from fedpact.types.resale import SaleStatus
from fedpact.types.specification import Specification

PLACES = 112
"""Binary places of what a point earns (ResaleMarket.sol)."""


class ResaleChecks:
    """Replays the resale market's events by the rules of contracts/interfaces/IResaleMarket."""

    def __init__(
        self,
        evidence: Evidence,
        facts: Facts,
        pool: PoolChecks,
        history: AuditHistory,
        store: ContentStore,
        specification: Callable[[], Specification],
    ) -> None:
        self._e = evidence
        self._facts = facts
        self._pool = pool
        self._history = history
        self._store = store
        self._specification = specification
        self._played = False
        self._price = 0
        self._bought: dict[str, ResultBought] = {}
        """The last purchase of each buyer."""
        self._status: dict[str, SaleStatus] = {}
        self._deadline: dict[str, int] = {}
        self._sealed: dict[str, KeySealed] = {}
        """The last key of each buyer, unless it was disputed."""
        self._excluded: set[int] = set()
        self._cursor: bytes | None = None
        self._per_point = 0
        self._claimed: dict[int, int] = {}

    # ------------------------------------------------------------------ items

    def retrieval_record(self) -> str:
        """The requester signed the search on record for this deployment and for its query, and the
        search found everybody who was invited."""
        by = [one for one in self._e.recorded if one.requester == self._e.requester]
        if not by:
            return "no search on record"
        invited, here = self._specification().invited, self._facts.deployment
        return check_record(self._store, by[-1].digest, here, self._e.requester, invited)

    def purchases(self) -> str:
        """Sold at the price that the specification names; each key came in time, from a member with
        points; sales became final after the time for disputes; makers took their shares by points;
        the contract holds the rest."""
        offered = self._facts.offered
        if offered is None:
            require(not self._e.sales, "there are sales and no resale market")
            return "no resale market"
        self._replay()
        stands = (self._price, self._cursor == bytes(32))
        kept = (offered.price, offered.tallied)
        require(kept == stands, f"price and tally are {kept} on chain, {stands} by the events")
        if not self._price:
            return "not for sale"
        promised = self._specification().resale
        require(
            promised is not None and promised.price == self._price,
            f"on offer for {self._price}, which its specification does not say",
        )
        for buyer, status in self._status.items():
            found = self._facts.sale_status(buyer)
            require(
                found is status,
                f"the purchase of {buyer} is {found.name} on chain, {status.name} by the events",
            )
        for index in self._points:
            due, claimable = self._due(index), self._facts.resale_claimable(index)
            require(claimable == due, f"member {index} is offered {claimable}, {due} are due")
        self._holds()
        final = sum(one is SaleStatus.SOLD for one in self._status.values())
        return f"{final} of {len(self._status)} sales final, {len(self._excluded)} wrong keys shown"

    def sold_keys(self) -> str:
        """Every key that stands is the model's, sealed to its buyer."""
        if not self._e.sales:
            return "no sales"
        self._history.require_key()
        key, terms = self._history.request_key, self._e.terms
        here, count = self._facts.deployment.fingerprint, self._facts.outcome.final_rounds
        for buyer, sent in self._replay().items():
            to = Point(*self._bought[buyer].key)
            right = Deliveries.seal(key, to, here, self._e.request_id, terms.max_rounds)
            require(
                sent.cipher == right.ciphers[count - 1],
                f"the key that {sent.maker} sealed to {buyer} is not the model's",
            )
        return f"{len(self._sealed)} keys"

    # ------------------------------------------------------------------ replay

    @cached_property
    def _points(self) -> dict[int, int]:
        """Of each maker, by pool index."""
        sums = sums_of(self._e.earned)
        return {index: one.points for index, one in sums.items() if one.points}

    def _replay(self) -> dict[str, KeySealed]:
        """Play all events, once; the keys that stand."""
        if not self._played:
            self._played = True
            for event in self._e.sales:
                self._play(event)
        return self._sealed

    def _play(self, event: object) -> None:
        match event:
            case ResaleOffered():
                require(self._price == 0, "a second price was fixed")
                require(event.token == self._e.terms.token, f"the price is in {event.token}")
                ended = self._e.ended
                in_time = ended is None or _before(event.at, ended.at)
                require(in_time, "the price was fixed after the rounds")
                self._price = event.price
            case PointsTallied():
                self._tallied(event)
            case ResultBought():
                self._buys(event)
            case KeySealed():
                self._seals(event)
            case SealDisputed():
                self._disputes(event)
            case ResultSold():
                self._require(event.buyer, SaleStatus.SEALED, "sold")
                late = self._time(event.at) > self._deadline[event.buyer]
                require(late, f"the sale to {event.buyer} was final before its time for disputes")
                self._status[event.buyer] = SaleStatus.SOLD
                self._share(self._price)
            case ResaleClaimed():
                due = self._due(event.index)
                require(event.amount == due, f"{event.maker} took {event.amount}, {due} were due")
                require(self._account(event.index) == event.maker, f"{event.maker} is not a maker")
                self._claimed[event.index] = self._claimed.get(event.index, 0) + event.amount
            case PurchaseRefunded():
                self._require(event.buyer, SaleStatus.PENDING, "refunded")
                late = self._time(event.at) > self._deadline[event.buyer]
                require(late, f"{event.buyer} was refunded before the deadline")
                require(event.amount == self._price, f"{event.amount} were refunded")
                self._status[event.buyer] = SaleStatus.REFUNDED

    def _tallied(self, event: PointsTallied) -> None:
        running, cursors = bytes(32), [bytes(32)]
        for entry in self._e.earned:
            running = fold([entry], running)
            cursors.append(running)
        require(event.cursor in cursors, "points were tallied that are not in the list")
        rest = self._e.earned[cursors.index(event.cursor) :]
        points = sum(one.points for one in sums_of(rest).values())
        require(event.points == points, f"{event.points} points tallied, {points} computed")
        self._cursor = event.cursor

    def _buys(self, event: ResultBought) -> None:
        settled = self._e.settled
        paid = settled is not None and _before(settled.at, event.at)
        require(paid and self._e.disputed is None, f"{event.buyer} bought what was not paid for")
        require(event.price == self._price > 0, f"{event.buyer} paid {event.price}")
        known = self._status.get(event.buyer, SaleStatus.REFUNDED)
        require(known is SaleStatus.REFUNDED, f"{event.buyer} bought twice")
        due = self._time(event.at) + self._e.terms.deliver_window
        require(event.deadline == due, f"the deadline of {event.buyer} is not {due}")
        self._bought[event.buyer] = event
        self._wait(event.buyer, due)

    def _seals(self, event: KeySealed) -> None:
        self._require(event.buyer, SaleStatus.PENDING, "got a key")
        maker = self._points.get(event.index) and event.index not in self._excluded
        require(bool(maker), f"{event.maker} sealed a key, but has no points")
        require(self._account(event.index) == event.maker, f"{event.maker} is not a maker")
        at = self._time(event.at)
        require(at <= self._deadline[event.buyer], f"the key for {event.buyer} came too late")
        due = at + self._e.terms.dispute_window
        require(
            event.deadline == due, f"the time for a dispute ends at {event.deadline}, not {due}"
        )
        self._status[event.buyer], self._deadline[event.buyer] = SaleStatus.SEALED, due
        self._sealed[event.buyer] = event

    def _disputes(self, event: SealDisputed) -> None:
        self._require(event.buyer, SaleStatus.SEALED, "disputed")
        at, sent = self._time(event.at), self._sealed.pop(event.buyer)
        require(at <= self._deadline[event.buyer], f"{event.buyer} disputed too late")
        require(event.index == sent.index, f"{event.buyer} disputed another's key")
        delivered = self._e.delivered
        wrong = delivered is None or keccak(event.opened) != delivered.key_digest
        require(wrong, f"the key that {event.buyer} disputed was the model's")
        forfeited = 0 if event.index in self._excluded else self._due(event.index)
        require(event.forfeited == forfeited, f"{event.forfeited} forfeited, {forfeited} computed")
        self._excluded.add(event.index)
        self._share(forfeited)
        due = at + self._e.terms.deliver_window
        require(event.deadline == due, f"the deadline of {event.buyer} is not {due}")
        self._wait(event.buyer, due)

    def _wait(self, buyer: str, deadline: int) -> None:
        self._status[buyer], self._deadline[buyer] = SaleStatus.PENDING, deadline

    def _share(self, amount: int) -> None:
        points = sum(own for index, own in self._points.items() if index not in self._excluded)
        if points:
            self._per_point += (amount << PLACES) // points

    def _due(self, index: int) -> int:
        if index in self._excluded:
            return 0
        earned = self._per_point * self._points.get(index, 0) >> PLACES
        return earned - self._claimed.get(index, 0)

    def _holds(self) -> None:
        """Of all results' sales."""
        resale = self._facts.deployment.resale
        for token in sorted({one.token for one in self._e.resale_moved}):
            held = self._facts.held(token, resale)
            rest = sum(one.amount for one in self._e.resale_moved if one.token == token)
            require(held >= rest, f"the resale market holds {held} of {rest} in the token {token}")

    def _require(self, buyer: str, status: SaleStatus, done: str) -> None:
        known = self._status.get(buyer, SaleStatus.NONE)
        require(known is status, f"{buyer} {done} while its purchase was {known.name}")

    def _account(self, index: int) -> str:
        members = self._pool.roster.members
        return members[index].account if index < len(members) else ""

    def _time(self, at: Place) -> int:
        return self._facts.timestamp(at.block)


def _before(a: Place, b: Place) -> bool:
    return (a.block, a.log_index) < (b.block, b.log_index)
