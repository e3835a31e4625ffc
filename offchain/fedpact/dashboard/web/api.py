"""The JSON API: the views that the pages show, as they are. Documented by /api/openapi.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response, StreamingResponse

from fedpact.dashboard.views.audit import AuditView
from fedpact.dashboard.views.blocks import View
from fedpact.dashboard.views.market import PAGE, MarketQuery, MarketView
from fedpact.dashboard.views.member import MemberView
from fedpact.dashboard.views.network import NetworkView
from fedpact.dashboard.views.participant import ParticipantView
from fedpact.dashboard.views.request import RequestPage
from fedpact.dashboard.views.rounds import ForcedRow, RoundView
from fedpact.dashboard.web.downloads import Format, table_response
from fedpact.dashboard.web.site import Site, checked_account

RequestId = Annotated[int, Path(ge=1, lt=2**63, description="Number of the request.")]
Account = Annotated[str, Path(description="Address of the participant.")]
Asked = Annotated[MarketQuery, Query()]


class StatusView(View):
    """How far the index is."""

    block: int
    """As of which everything is shown."""
    time: int
    """Of that block, Unix time in seconds."""
    confirmations: int
    """By how many blocks it is behind the newest."""
    chain_id: int
    market: str


REQUEST_TABLES = (
    "members",
    "rounds",
    "seats",
    "votes",
    "points",
    "forced",
    "timeline",
    "money",
    "sales",
    "sales_money",
    "declines",
)
PARTICIPANT_TABLES = ("requests", "payments", "outcomes", "purchases", "transactions")
MEMBER_TABLES = ("rounds", "payments", "sent")
NETWORK_TABLES = ("participants", "nodes", "contracts")


class SeatOfRound(View):
    """One seat in one round, for the table of all."""

    round: int
    seat: int
    account: str
    points: int | None
    median: int | None
    included: bool | None
    fault: bool
    why: str


class VoteOfRound(View):
    """One vote, for the table of all."""

    round: int
    voter: int
    model: int
    score: int | None
    median: int | None
    outside: bool


class PointsOfRound(View):
    """What one member has of a large round, for the table of all."""

    round: int
    account: str
    points: int


class ForcedOfRound(ForcedRow):
    """A model that was put into a large round by its trainer, for the table of all."""

    round: int


def router(site: Site) -> APIRouter:
    """All routes below /api."""
    api = APIRouter(prefix="/api")

    @api.get("/status", tags=["network"])
    def status() -> StatusView:
        """How far the index is."""
        block, time = site.head()
        client = site.client
        return StatusView(
            block=block,
            time=time,
            confirmations=site.confirmations,
            chain_id=client.chain_id,
            market=client.deployment.market,
        )

    @api.get("/requests", tags=["requests"])
    def requests(query: Asked) -> MarketView:
        """A page of the market's list."""
        return site.market(query, PAGE)

    @api.get("/requests/{request}", tags=["requests"])
    def request(request: RequestId) -> RequestPage:
        """Everything that is public about a request."""
        return site.request(request)

    @api.get("/requests/{request}/audit", tags=["requests"])
    def audit(request: RequestId) -> AuditView:
        """An audit from chain and store alone; it may take seconds."""
        return site.audit(request)

    @api.get("/requests/{request}/members/{account}", tags=["requests"])
    def member(request: RequestId, account: Account) -> MemberView:
        """What one member did and earned in a request, part by part."""
        return site.member(request, checked_account(account))

    @api.get("/participants/{account}", tags=["network"])
    def participant(account: Account) -> ParticipantView:
        """A participant, its requests, earnings and reputation."""
        return site.participant(checked_account(account))

    @api.get("/network", tags=["network"])
    def network() -> NetworkView:
        """Participants, contracts, nodes and stores."""
        return site.network()

    @api.get("/live", tags=["live"], response_class=StreamingResponse)
    async def live() -> StreamingResponse:
        """Server-sent events `change`: the block, and the requests and accounts about which facts
        are new; `others`: of whatever else; `behind`: whether the chain cannot be followed now."""
        return StreamingResponse(site.hub.stream(), media_type="text/event-stream")

    @api.get("/tables/requests.{format}", tags=["tables"], response_class=Response)
    def requests_table(format: Format, query: Asked) -> Response:
        """All requests that match, as a file."""
        return table_response("requests", site.market(query, 0).rows, format)

    @api.get("/tables/{table}.{format}", tags=["tables"], response_class=Response)
    def network_table(
        table: Annotated[str, Path(pattern=f"^({'|'.join(NETWORK_TABLES)})$")], format: Format
    ) -> Response:
        """A table of the network's page, as a file."""
        return table_response(table, getattr(site.network(), table), format)

    @api.get("/tables/request/{request}/audit.{format}", tags=["tables"], response_class=Response)
    def audit_table(request: RequestId, format: Format) -> Response:
        """The items of an audit, as a file."""
        return table_response(f"request-{request}-audit", site.audit(request).items, format)

    @api.get("/tables/request/{request}/{table}.{format}", tags=["tables"], response_class=Response)
    def request_table(
        request: RequestId,
        table: Annotated[str, Path(pattern=f"^({'|'.join(REQUEST_TABLES)})$")],
        format: Format,
    ) -> Response:
        """A table of a request's page, as a file."""
        rows = request_rows(site.request(request), table)
        return table_response(f"request-{request}-{table}", rows, format)

    @api.get(
        "/tables/request/{request}/members/{account}/{table}.{format}",
        tags=["tables"],
        response_class=Response,
    )
    def member_table(
        request: RequestId,
        account: Account,
        table: Annotated[str, Path(pattern=f"^({'|'.join(MEMBER_TABLES)})$")],
        format: Format,
    ) -> Response:
        """A table of a member's page, as a file."""
        view = site.member(request, checked_account(account))
        return table_response(f"request-{request}-{account}-{table}", getattr(view, table), format)

    @api.get(
        "/tables/participant/{account}/{table}.{format}", tags=["tables"], response_class=Response
    )
    def participant_table(
        account: Account,
        table: Annotated[str, Path(pattern=f"^({'|'.join(PARTICIPANT_TABLES)})$")],
        format: Format,
    ) -> Response:
        """A table of a participant's page, as a file."""
        view = site.participant(checked_account(account))
        return table_response(f"{account}-{table}", getattr(view, table), format)

    return api


def request_rows(view: RequestPage, table: str) -> list[View]:
    """The rows of one of REQUEST_TABLES."""
    if table == "members":
        return list(view.members)
    if table == "timeline":
        return list(view.timeline)
    if table == "declines":
        return list(view.declines or ())
    if table == "sales":
        return list(view.resale.sales) if view.resale else []
    if table in ("money", "sales_money"):
        money = view.money if table == "money" else view.resale
        return [*money.received, *money.sent, *money.held] if money else []
    if table == "seats":
        return [
            SeatOfRound(round=one.round, **seat.model_dump(include=_SEAT))
            for one in view.rounds
            for seat in one.seats
        ]
    if table == "votes":
        return list(_votes(view))
    if table in ("points", "forced"):
        return list(_of_large_rounds(view, table))
    return [_bare(one) for one in view.rounds]


def _bare(one: RoundView) -> RoundView:
    """Without what tables of their own have."""
    large = one.large and one.large.model_copy(update={"earned": {}, "forced": ()})
    return one.model_copy(update={"seats": (), "votes": None, "large": large})


def _of_large_rounds(view: RequestPage, table: str) -> Iterator[View]:
    for one in view.rounds:
        if one.large is None:
            continue
        if table == "points":
            for account, points in one.large.earned.items():
                yield PointsOfRound(round=one.round, account=account, points=points)
        else:
            for forced in one.large.forced:
                yield ForcedOfRound(round=one.round, **forced.model_dump())


_SEAT = {"seat", "account", "points", "median", "included", "fault", "why"}


def _votes(view: RequestPage) -> list[VoteOfRound]:
    found = []
    for one in view.rounds:
        matrix = one.votes
        if matrix is None:
            continue
        medians = matrix.medians or (None,) * len(matrix.models)
        for row in matrix.rows:
            for model, cell, median in zip(matrix.models, row.cells, medians, strict=True):
                if cell.score is not None:
                    found.append(
                        VoteOfRound(
                            round=one.round,
                            voter=row.seat,
                            model=model,
                            score=cell.score,
                            median=median,
                            outside=cell.outside,
                        )
                    )
    return found
