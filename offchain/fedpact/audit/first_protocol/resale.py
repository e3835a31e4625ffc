"""Check of a result's resales: price, seals by its makers, money to the wei."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from fedpact.audit.first_protocol.evidence import Evidence
from fedpact.audit.report import require
from fedpact.chain.bindings.first_protocol.structs import PurchaseStatus
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.audit.first_protocol.chain import ChainFacts
    from fedpact.chain.records import Event


class ResaleChecks:
    """Replays the resale market's events by the rules of IResaleMarket.

    Outsiders cannot tell whether a sealed key is the right one: only its buyer can open it.
    """

    def __init__(
        self, evidence: Evidence, facts: "ChainFacts", specification: Callable[[], Specification]
    ) -> None:
        self._e = evidence
        self._facts = facts
        self._specification = specification
        self._price = 0
        self._earned = 0
        self._waiting: dict[str, int] = {}
        """Deadline of each buyer that has no key yet."""
        self._served: set[str] = set()
        self._paid: dict[int, int] = {}

    def purchases(self) -> str:
        """Sold at the price that the specification names, to outsiders; each first key came in
        time, from a seat with points; claims are shares by points; the contract holds the rest."""
        if self._facts.offered is None:
            require(not self._e.resale, "there are sales and no resale market")
            return "no resale market"
        for event in self._e.resale:
            self._play(event)
        stands = (self._price, self._earned)
        require(
            self._facts.offered == stands,
            f"price and earnings are {self._facts.offered} on chain, {stands} by the events",
        )
        if self._price:
            self._money()
            promised = self._specification().resale
            require(
                promised is not None and promised.price == self._price,
                f"on offer for {self._price} wei, which its specification does not say",
            )
        sold, open_ = len(self._served), len(self._waiting)
        return f"sold {sold} times for {self._price} wei, {open_} without a key"

    def _play(self, event: "Event") -> None:
        args = event.args
        match event.name:
            case "ResaleOffered":
                require(self._price == 0, "a second price was fixed")
                self._price = args["price"]
            case "ResultBought":
                self._bought(args["buyer"], args["price"], args["deadline"], event.block)
            case "KeySealed":
                self._sealed(args["buyer"], args["holder"], event.block)
            case "PurchaseRefunded":
                deadline = self._waiting.pop(args["buyer"], None)
                require(deadline is not None, f"{args['buyer']} was refunded without a purchase")
                early = self._facts.timestamp(event.block) <= (deadline or 0)
                require(not early, f"{args['buyer']} was refunded before the deadline")
                require(args["amount"] == self._price, f"{args['amount']} wei were refunded")
            case "ResaleClaimed":
                self._claimed(args["seat"], args["provider"], args["amount"])

    def _bought(self, buyer: str, price: int, deadline: int, block: int) -> None:
        require(price == self._price > 0, f"{buyer} paid {price} wei, not {self._price}")
        require(buyer not in self._served | self._waiting.keys(), f"{buyer} bought twice")
        makers = {account for one in self._e.rounds for account in one.owners.values()}
        require(
            buyer not in makers | {self._e.requester},
            f"{buyer} bought a result that it already had",
        )
        due = self._facts.timestamp(block) + self._e.terms.deliver_window
        require(deadline == due, f"the deadline of {buyer} is {deadline}, not {due}")
        self._waiting[buyer] = deadline

    def _sealed(self, buyer: str, holder: str, block: int) -> None:
        seats = [seat for seat, (account, _) in self._e.seats.items() if account == holder]
        require(
            any(self._facts.points[seat] for seat in seats),
            f"{holder} sealed a key, but has no points",
        )
        deadline = self._waiting.pop(buyer, None)
        if deadline is None:
            require(buyer in self._served, f"a key was sealed to {buyer}, who had not paid")
            return
        late = self._facts.timestamp(block) > deadline
        require(not late, f"the first key for {buyer} came after its deadline")
        self._served.add(buyer)
        self._earned += self._price

    def _claimed(self, seat: int, provider: str, amount: int) -> None:
        require(
            self._e.seats.get(seat, ("", 0))[0] == provider, f"{provider} does not hold seat {seat}"
        )
        due = self._share(seat) - self._paid.get(seat, 0)
        require(amount == due, f"seat {seat} was paid {amount} wei from resales, {due} were due")
        self._paid[seat] = self._share(seat)

    def _money(self) -> None:
        for buyers, status in (
            (self._waiting.keys(), PurchaseStatus.PENDING),
            (self._served, PurchaseStatus.SEALED),
        ):
            for buyer in buyers:
                kept = self._facts.purchase_status(buyer)
                require(
                    kept is status,
                    f"the purchase of {buyer} is {kept.name} on chain, {status.name} by the events",
                )
        for seat in self._e.seats:
            due = self._share(seat) - self._paid.get(seat, 0)
            offered = self._facts.resale_claimable(seat)
            require(
                offered == due, f"seat {seat} is offered {offered} wei from resales, {due} are due"
            )
        held, rest = self._facts.resale_balance, self._e.resale_in - self._e.resale_out
        require(held >= rest, f"the resale market holds {held} wei of {rest}")

    def _share(self, seat: int) -> int:
        points = self._facts.points
        return self._earned * points[seat] // sum(points) if sum(points) else 0
