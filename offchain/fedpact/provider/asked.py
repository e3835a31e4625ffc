"""What a request asks of a provider's daemon: the daemon's cycle knows no more of the protocol."""

from collections.abc import Collection, Sequence
from typing import Any

from fedpact.chain.records import Call, Frame
from fedpact.logs import about
from fedpact.privacy.ledger_report import ReleaseId
from fedpact.provider.affording import require_worth
from fedpact.provider.context import DutyResult, idle
from fedpact.provider.duties import Duty, duties_of
from fedpact.provider.opting_in import opt_in
from fedpact.provider.reading import specification_of
from fedpact.provider.selling import on_offer, resold
from fedpact.provider.view import (
    Context,
    RequestView,
    digest_of,
    drawn_cohort,
    posted_as_whole,
)
from fedpact.types.requests import seats_of
from fedpact.types.specification import Specification


class Asked:
    """The duties of one account."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def look(self, request: int, frame: Frame) -> RequestView:
        """Read a request at a block."""
        client = self._ctx.client
        record = client.market.request(request, frame)
        facts = client.rounds.round_facts(request, frame)
        return RequestView(self._ctx, frame, request, record, facts)

    @property
    def opt_in(self) -> Duty:
        """The duty that decides on a request."""
        return opt_in

    def duties_of(self, look: RequestView) -> tuple[Duty, ...]:
        """What may be due now, in the order in which it is tried."""
        return duties_of(look)

    def next_duty(self, look: RequestView) -> DutyResult:
        """Do the first duty that has something to do; otherwise say why nothing was done."""
        outcome = idle(f"no duty in stage {look.stage}")
        for duty in self.duties_of(look):
            name = duty.__name__
            with about(round=look.round, duty=name), look.ctx.metrics.duty(name):
                outcome = duty(look)
            if outcome.acted:
                look.ctx.metrics.done(name)
                break
        return outcome

    def require_worth(self, look: RequestView, call: Call, wei: int) -> None:
        """Raise FeeTooHigh if a call that costs `wei` is over the policy, or earns less."""
        require_worth(look, call, wei)

    def finished_but_due(self, frame: Frame) -> set[int]:
        """Requests that are finished, and still ask something of this account."""
        return resold(self._ctx, frame)

    def may_ask_again(self, request: int) -> bool:
        """A result on offer may be sold for ever, by those who made it."""
        return on_offer(self._ctx, request)

    def asked_for(self, request: int, frame: Frame) -> tuple[Specification, str]:
        """A request's specification, and the account of its requester."""
        look = self.look(request, frame)
        return specification_of(look), look.record.requester

    def submissions(self, requests: Collection[int] | None = None) -> list[tuple[ReleaseId, bytes]]:
        """The releases that this account has submitted on chain, with their digests; None: of all
        requests.

        After a void start the same model is submitted again, sealed under another key: only the
        first one is in the ledger.
        """
        ctx, found = self._ctx, dict[ReleaseId, bytes]()
        every = (request for request, _, _ in ctx.state.all_requests())
        for request in every if requests is None else requests:
            for round_, digest in ctx.state.submitted(request).items():
                found[ReleaseId(ctx.deployment.fingerprint, request, round_)] = digest
            seeds: dict[int, bytes] = {}
            events = ctx.state.events_of(request)
            if not any(args.get("provider") == ctx.keys.address for _, args in events):
                continue  # others' requests ask nothing of the node
            for name, args in events:
                if name == "RoundOpened":
                    seeds[args["round"]] = digest_of(args["seed"])
                elif name in ("ModelsSubmitted", "RoundPosted"):
                    release = ReleaseId(ctx.deployment.fingerprint, request, args["round"])
                    cohort = drawn_cohort(ctx, request, seeds[args["round"]])
                    own, seats = cohort.seat_of(ctx.keys.address), seats_of(args["mask"])
                    if own in seats and release not in found:
                        found[release] = self._digests(request, args)[seats.index(own)]
        return list(found.items())

    def _digests(self, request: int, args: dict[str, Any]) -> Sequence[bytes]:
        """Of the models in an event, or in the calldata of a round posted as a whole."""
        if "digests" in args:
            return [digest_of(one) for one in args["digests"]]
        return posted_as_whole(self._ctx, request, args).digests
