"""What a provider's own files and the chain say: requests seen, pay, privacy spent."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpact.chain.client import AnyClient, ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.errors import DeploymentError, InvalidInput, NodeUnreachable, NotReady
from fedpact.privacy.accounting import PrivacyCost
from fedpact.privacy.budget import PrivacyLimit
from fedpact.privacy.ledger import Ledger
from fedpact.privacy.ledger_check import reconcile, verify
from fedpact.privacy.ledger_report import LimitStanding, ReleaseId
from fedpact.provider.files import ledger_file, state_file
from fedpact.provider.ledgers import open_ledger
from fedpact.provider.profile import built_releases
from fedpact.provider.state import ProviderState
from fedpact.types.currency import ETHER_CURRENCY, Currency

LOCK_TIMEOUT = 5.0
"""Seconds that a command waits for a daemon that is writing to the ledger."""


@dataclass(frozen=True)
class RequestStanding:
    """One request, as this provider's daemon has judged it."""

    request_id: int
    standing: str
    reason: str
    stage: str
    """Where the request is on chain, in one word."""
    round: int
    claimable: int
    """What this account could collect now, in the currency's smallest unit."""
    currency: Currency


def standing(client: ChainClient, state: Path, address: str) -> list[RequestStanding]:
    """All requests that the daemon has seen, by number; none if it never ran here."""
    found = []
    for request_id, judged, reason, _ in seen_requests(client, state, address):
        record = client.market.request(request_id)
        rounds, seat = client.rounds.duty(request_id, address)
        due = sum(_due(client, request_id, seat)) if seat is not None else 0
        stage = record.status.name.lower()
        found.append(
            RequestStanding(request_id, judged, reason, stage, rounds.round, due, ETHER_CURRENCY)
        )
    return found


def seen_requests(
    client: AnyClient, state: Path, address: str
) -> list[tuple[int, str, str, dict[str, Any]]]:
    """Number, the daemon's decision and its reason, and the event of its creation, of each request
    that the daemon has seen."""
    path = state_file(state, client.deployment, address)
    if not path.exists():
        return []
    seen = ProviderState(path, client.deployment, address)
    try:
        return [
            (request, str(judged), reason, seen.events(request, "RequestCreated")[-1])
            for request, judged, reason in seen.all_requests()
        ]
    finally:
        seen.close()


def claim(client: ChainClient, keys: AccountKeys, request_id: int) -> int:
    """Claim the pay of one request, and the share in its resales; returns wei.

    Raises InvalidInput without a seat, NotReady if nothing is due.
    """
    client.market.request(request_id)
    _, seat = client.rounds.duty(request_id, keys.address)
    if seat is None:
        raise InvalidInput(f"{keys.address} has no seat in request {request_id}")
    pay, resale = _due(client, request_id, seat)
    if pay + resale == 0:
        raise NotReady(f"request {request_id}: nothing to claim now")
    if pay:
        client.market.claim(keys, request_id, seat)
    if resale:
        client.resale.claim(keys, request_id, seat)
    return pay + resale


def _due(client: ChainClient, request_id: int, seat: int) -> tuple[int, int]:
    """Wei that the market and the resale market hold for a seat."""
    resells = client.deployment.resale is not None
    resale = client.resale.claimable(request_id, seat) if resells else 0
    return client.market.claimable(request_id, seat), resale


@dataclass(frozen=True)
class PrivacySpent:
    """What the most charged record has cost, and in how many releases and requests."""

    cost: PrivacyCost
    releases: int
    requests: int
    under_way: int
    """Requests that hold budget that is not spent yet."""


@dataclass(frozen=True)
class LedgerCheck:
    """What was checked; whatever does not hold raises an error."""

    releases: int
    kept: int
    """Releases whose bytes are still here, and match their digests."""
    submissions: int | None
    """Own submissions on chain, each found in the ledger; None if there was no chain."""
    unchecked: str | None
    """Why there was no chain."""


def privacy_spent(state: Path, keys: AccountKeys, delta: float) -> PrivacySpent:
    """Raises NotReady without a ledger, LedgerError if it is unreadable."""
    with existing_ledger(state, keys) as ledger:
        charged = [entry.id for entry in ledger.entries() if entry.event is not None]
        # A profile's signature is entered under request 0.
        requests = {(one.deployment, one.request) for one in charged if one.request}
        return PrivacySpent(ledger.spent(delta), len(charged), len(requests), len(ledger.holds()))


def privacy_standing(state: Path, keys: AccountKeys, limit: PrivacyLimit) -> LimitStanding:
    """What remains of a lifetime budget. Raises as `privacy_spent`."""
    with existing_ledger(state, keys) as ledger:
        return ledger.standing(limit)


def submissions(client: ChainClient, account: str) -> list[tuple[ReleaseId, bytes]]:
    """What an account has submitted under the first protocol, from the chain."""
    fingerprint = client.deployment.fingerprint
    return [
        (ReleaseId(fingerprint, request, round_), digest)
        for request, round_, digest in client.rounds.submissions(account)
    ]


def privacy_verify(
    state: Path, keys: AccountKeys, ask: Callable[[], Sequence[tuple[ReleaseId, bytes]]]
) -> LedgerCheck:
    """Read the whole ledger, and compare it with the profile that was built here and the account's
    own submissions on chain, for which `ask` asks the chain.

    Without a chain, or without the deployment on it, the last part is skipped.

    Raises:
        NotReady: no ledger.
        LedgerError: one that is damaged, or older than the chain.
    """
    with existing_ledger(state, keys) as ledger:
        found = verify(ledger)
        kept = sum(entry.kept for entry in found)
        reconcile(ledger, built_releases(state, keys.address))
        try:
            submitted = ask()
        except (NodeUnreachable, DeploymentError) as error:
            return LedgerCheck(len(found), kept, None, str(error))
        reconcile(ledger, submitted)
        return LedgerCheck(len(found), kept, len(submitted), None)


@contextmanager
def existing_ledger(state: Path, keys: AccountKeys) -> Iterator[Ledger]:
    """An account's ledger. Raises NotReady if there is none, LedgerError as `Ledger`."""
    path = ledger_file(state, keys.address)
    if not path.exists():
        raise NotReady(f"no privacy ledger {path}: nothing was released from here")
    with open_ledger(path, keys, LOCK_TIMEOUT) as ledger:
        yield ledger
