"""The first protocol, as the daemon's cycle sees it."""

from collections.abc import Collection

from fedpact.chain.records import Call, Frame
from fedpact.privacy.ledger_report import ReleaseId
from fedpact.provider.affording import require_worth
from fedpact.provider.asked import Asked
from fedpact.provider.context import Context, RequestView
from fedpact.provider.duties import Duty, duties_of
from fedpact.provider.joining import opt_in
from fedpact.provider.reading import specification_of
from fedpact.provider.resale import has_joined, resold
from fedpact.types.specification import Specification


class FirstProtocol(Asked[RequestView]):
    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def look(self, request: int, frame: Frame) -> RequestView:
        client, account = self._ctx.client, self._ctx.keys.address
        record = client.market.request(request, frame)
        state, seat = client.rounds.duty(request, account, frame)
        return RequestView(self._ctx, frame, record, state, seat)

    @property
    def opt_in(self) -> Duty:
        return opt_in

    def duties_of(self, look: RequestView) -> tuple[Duty, ...]:
        return duties_of(look)

    def require_worth(self, look: RequestView, call: Call, wei: int) -> None:
        require_worth(look, call, wei)

    def finished_but_due(self, frame: Frame) -> set[int]:
        return resold(self._ctx, frame)

    def may_ask_again(self, request: int) -> bool:
        """A result may be sold for ever, by those who made it."""
        return has_joined(self._ctx, request)

    def asked_for(self, request: int, frame: Frame) -> tuple[Specification, str]:
        look = self.look(request, frame)
        return specification_of(look), look.record.requester

    def submissions(self, requests: Collection[int] | None = None) -> list[tuple[ReleaseId, bytes]]:
        ctx = self._ctx
        every = (request for request, _, _ in ctx.state.all_requests())
        return [
            (
                ReleaseId(ctx.deployment.fingerprint, request, args["round"]),
                bytes.fromhex(args["digest"].removeprefix("0x")),
            )
            for request in (every if requests is None else requests)
            for args in ctx.state.events(request, "ModelSubmitted")
            if args["member"].lower() == ctx.keys.address.lower()
        ]
