"""Whether another daemon of the account releases models, and what is charged for those.

A second daemon, or an older copy of the ledger, shows on chain: as a submission of this account
that its ledger did not make. It is charged before anything else is done, and then this daemon joins
and submits nothing for QUIET_SECONDS, counted from the last such submission: two daemons that both
see the other stop both, and one that is alone goes on (the doppelganger check of Ethereum's
validators). The operator may shorten that by confirming that no other daemon runs.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from fedpact.errors import ContentError, DataError, DeploymentError, InvalidInput, Retryable
from fedpact.privacy.accounting import MAX_DEMAND, full_batch_precision
from fedpact.privacy.ledger import foreign_submissions
from fedpact.privacy.ledger.foreign_submissions import Price
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.privacy.releases import GaussianRelease, of_request
from fedpact.provider.own import Own
from fedpact.types.specification import Specification

log = logging.getLogger(__name__)

QUIET_SECONDS = 900
"""How long this account must have submitted nothing from elsewhere before this daemon goes on."""
PRICING_SECONDS = 900
"""How long a specification may be missing before a request is charged what the policy allows."""

Asking = Callable[[ReleaseId], tuple[Specification, str]]
"""The specification of a release's request, and the requester's account."""


class Guard:
    """Compares one ledger with the chain, cycle by cycle."""

    def __init__(self, ledger: Ledger, *, alone: bool = False) -> None:
        """`alone`: the operator says that no other daemon of the account runs."""
        self._ledger = ledger
        self._alone = alone
        self._said = ""

    def compare(self, submissions: Sequence[tuple[ReleaseId, bytes]]) -> None:
        """Take note of own submissions on chain. Raises LedgerError as `Ledger`."""
        foreign = foreign_submissions.note(self._ledger, submissions)
        for release in foreign[:3]:
            log.error(
                "request %d, round %d: this account submitted a model that is not of this ledger: "
                "another daemon of the account runs, or the ledger is an older copy",
                release.request,
                release.round,
            )
        if len(foreign) > 3:
            log.error("and %d more submissions that are not of this ledger", len(foreign) - 3)

    def settle(self, own: Own, asking: Asking) -> None:
        """Charge what was noted. What cannot be charged yet stays, and holds everything up."""
        waiting = foreign_submissions.unpriced(self._ledger)
        if not waiting:
            return
        try:
            units = [unit for one in own.data for unit in one.records.load().units]
        except DataError as error:
            log.error("what another ledger released cannot be charged yet: %s", error)
            return
        guessed: set[tuple[bytes, int]] = set()
        for release, seen in waiting:
            price = self._price(own, release, seen, asking)
            if price is None:
                continue
            if not price.requester:  # once for all rounds of a request
                again = release[:2] in guessed
                guessed.add(release[:2])
                price = replace(price, event=None) if again else price
            served = {one.records.schema.data_id for one in own.data}
            foreign_submissions.charge(self._ledger, release, price, served, units)
            log.warning(
                "request %d, round %d: charged to every unit, as made by another ledger",
                release.request,
                release.round,
            )

    def held(self) -> str | None:
        """Why nothing is joined or submitted now; None if nothing stands in the way."""
        waiting = len(foreign_submissions.unpriced(self._ledger))
        reason = None
        if waiting:
            reason = f"{waiting} submissions of another ledger are not charged yet"
        elif self._alone:
            if foreign_submissions.last_seen(self._ledger):
                foreign_submissions.forget_seen(self._ledger)
            self._alone = False
        elif seen := foreign_submissions.last_seen(self._ledger):
            if seen > time.time():  # the clock was set back: start counting again
                foreign_submissions.see_now(self._ledger)
            if time.time() < seen + QUIET_SECONDS:
                reason = (
                    "another daemon of this account may be running: joining and submitting nothing "
                    f"until it has been silent for {QUIET_SECONDS // 60} minutes; make sure that "
                    "there is none, and start again with --only-daemon to go on at once"
                )
            else:
                foreign_submissions.forget_seen(self._ledger)
        if reason != (self._said or None):
            log.log(logging.ERROR if reason else logging.INFO, reason or "submitting again")
            self._said = reason or ""
        return reason

    def _price(self, own: Own, release: ReleaseId, seen: int, asking: Asking) -> Price | None:
        try:
            spec, requester = asking(release)
        except (Retryable, ContentError, DeploymentError, InvalidInput) as error:
            if 0 <= time.time() - seen < PRICING_SECONDS:
                return None
            log.error(
                "request %d: its specification cannot be fetched (%s): charged what the policy "
                "allows for one request",
                release.request,
                error,
            )
            return Price(_most(own), None, "")
        return Price(GaussianRelease.of_round(spec, release.round), of_request(spec), requester)


def _most(own: Own) -> GaussianRelease:
    """The full-batch release that costs what the policy lets one request cost, of any data set."""
    epsilon = max(one.policy.epsilon_per_request for one in own.data)
    most = full_batch_precision(min(epsilon, MAX_DEMAND), own.policy.delta)
    return GaussianRelease(most**-0.5, 1.0, 1)
