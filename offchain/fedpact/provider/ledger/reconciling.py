"""The account's submissions on chain, compared with its ledger as they come."""

from collections.abc import Iterable
from pathlib import Path

from fedpact.chain.records import Event, Frame
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.provider.context import Context
from fedpact.provider.ledger.doppelganger import Guard
from fedpact.provider.ledger.other_deployments import Elsewhere
from fedpact.provider.request.facts import asked_for, submissions
from fedpact.provider.state.checkpoint import request_of
from fedpact.types.specification import Specification

SUBMITTING = ("ModelsSubmitted", "RoundPosted", "ModelForced")
"""Events that may tell of a model of this account; they name no member."""


class Reconciliation:
    """What of the chain is not compared with a ledger yet."""

    def __init__(self, ledger: Ledger, folder: Path, account: str, *, alone: bool) -> None:
        """`folder`: of the account, with a folder for each deployment. `alone`: the operator says
        that no other daemon of the account runs."""
        self._ledger, self._folder, self._account = ledger, folder, account
        self._guard = Guard(ledger, alone=alone)
        self._requests: set[int] | None = None
        """Requests with own submissions that are not compared yet; None: all."""
        self._others: Elsewhere | None = None

    def begin_again(self) -> None:
        """Compare everything at the next call."""
        self._requests = self._others = None

    def saw(self, events: Iterable[Event]) -> None:
        """Remember requests in which this account may have submitted a model."""
        if self._requests is None:
            return
        self._requests |= {
            request
            for one in events
            if one.name in SUBMITTING and (request := request_of(one.args)) is not None
        }

    def compare(self, ctx: Context, frame: Frame) -> None:
        """Compare new own submissions with the ledger, and charge those that it did not make."""
        if self._others is None:
            self._others = Elsewhere(self._ledger, self._folder, ctx.client, ctx.fetching)
        others = self._others

        def asking(release: ReleaseId) -> tuple[Specification, str]:
            if release.deployment != ctx.deployment.fingerprint:
                return others.asked_for(release)
            return asked_for(ctx, release.request, frame)

        if self._requests is None:
            every = others.submissions(self._account)
            self._guard.compare([*submissions(ctx, frame=frame), *every])
        elif self._requests:
            self._guard.compare(submissions(ctx, self._requests, frame))
        self._requests = set(ctx.cache.unread)
        self._guard.settle(ctx, asking)
        ctx.cache.held = self._guard.held()
