"""What a provider's own files and the chain say: requests looked at, pay, privacy spent."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.errors import InvalidInput, NotReady
from fedpact.privacy.accounting import PrivacyCost
from fedpact.privacy.ledger import Ledger
from fedpact.provider.files import ledger_file, state_file
from fedpact.provider.state import ProviderState
from fedpact.types.rounds import RequestStatus


@dataclass(frozen=True)
class RequestStanding:
    """One request, as this provider's daemon has judged it."""

    request_id: int
    standing: str
    reason: str
    status: RequestStatus
    round: int
    claimable: int
    """Wei that this account could collect now."""


def standing(client: ChainClient, state: Path, address: str) -> list[RequestStanding]:
    """All requests that the daemon has seen, by number; none where it never ran here."""
    path = state_file(state, client.deployment, address)
    if not path.exists():
        return []
    seen = ProviderState(path, client.deployment, address)
    try:
        rows = seen.all_requests()
    finally:
        seen.close()
    found = []
    for request_id, judged, reason in rows:
        record = client.market.request(request_id)
        rounds, seat = client.rounds.duty(request_id, address)
        due = client.market.claimable(request_id, seat) if seat is not None else 0
        found.append(
            RequestStanding(request_id, str(judged), reason, record.status, rounds.round, due)
        )
    return found


def claim(client: ChainClient, keys: AccountKeys, request_id: int) -> int:
    """Collect the pay of one request; wei. Raises InvalidInput without a seat, NotReady if none
    is due."""
    client.market.request(request_id)
    _, seat = client.rounds.duty(request_id, keys.address)
    if seat is None:
        raise InvalidInput(f"{keys.address} has no seat in request {request_id}")
    amount = client.market.claimable(request_id, seat)
    if amount == 0:
        raise NotReady(f"request {request_id}: nothing to claim now")
    client.market.claim(keys, request_id, seat)
    return amount


def privacy_spent(state: Path, keys: AccountKeys, delta: float) -> PrivacyCost:
    """What the most charged record has cost. Raises NotReady where nothing was ever charged."""
    with _ledger(state, keys) as ledger:
        return ledger.spent(delta)


def privacy_export(state: Path, keys: AccountKeys, delta: float) -> dict[str, Any]:
    """The whole ledger in plain JSON types. Raises NotReady where there is none."""
    with _ledger(state, keys) as ledger:
        return ledger.export(delta)


@contextmanager
def _ledger(state: Path, keys: AccountKeys) -> Iterator[Ledger]:
    path = ledger_file(state, keys.address)
    if not path.exists():
        raise NotReady(f"no privacy ledger {path}: nothing was released from here")
    with Ledger(path, keys.derive("privacy-ledger")) as ledger:
        yield ledger
