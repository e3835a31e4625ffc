"""The reputation ledger, replayed from its events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fedpact.chain.bindings.events import Place
from fedpact.chain.records import Event
from fedpact.consensus.reputation import MAX_WEIGHT, Sums, record, score

_PROVIDERS = "ProvidersRecorded"
_REQUESTER = "RequesterRecorded"


@dataclass(frozen=True)
class RecordedOutcome:
    """What was recorded of an account."""

    account: str
    weight: int
    quality: int
    losses: int
    ended_at: int


class LedgerReplay:
    """Scores and units as of any moment since the deployment."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events

    def outcomes(self, tx_hashes: set[str], *, requester: bool = False) -> list[RecordedOutcome]:
        """What was recorded in these transactions."""
        kind = _REQUESTER if requester else _PROVIDERS
        return [
            one
            for event in self._events
            if event.name == kind and event.tx_hash in tx_hashes
            for one in _outcomes(event)
        ]

    def provider_score(self, account: str, at: Place, timestamp: Callable[[int], int]) -> int:
        """Reputation of a provider at the moment of an event."""
        before = [e for e in self._events if (e.block, e.log_index) < (at.block, at.log_index)]
        return _score(before, _PROVIDERS, account, timestamp, timestamp(at.block))

    def provider_score_now(self, account: str, timestamp: Callable[[int], int], now: int) -> int:
        return _score(self._events, _PROVIDERS, account, timestamp, now)

    def requester_score_now(self, account: str, timestamp: Callable[[int], int], now: int) -> int:
        return _score(self._events, _REQUESTER, account, timestamp, now)

    def weight_of(self, token: str, amount: int, now: int, timestamp: Callable[[int], int]) -> int:
        """What a payment weighs at a time, 0 to 100. An announcement replaces an earlier one that
        has not taken effect."""
        present, coming, effective = 0, 0, 0
        for event in self._events:
            if event.name != "UnitAnnounced" or event.args["token"] != token:
                continue
            announced = timestamp(event.block)
            if announced > now:
                break
            if effective <= announced:
                present = coming
            coming, effective = event.args["unit"], event.args["effective"]
        unit = coming if effective <= now else present
        return min(amount // unit, MAX_WEIGHT) if unit else 0


def _outcomes(event: Event) -> list[RecordedOutcome]:
    args = event.args
    listed = args["outcomes"] if event.name == _PROVIDERS else (args["outcome"],)
    return [
        RecordedOutcome(
            one["account"], args["weight"], one["quality"], one["losses"], args["endedAt"]
        )
        for one in listed
    ]


def _score(
    events: Sequence[Event],
    kind: str,
    account: str,
    timestamp: Callable[[int], int],
    now: int,
) -> int:
    sums = Sums()
    for event in events:
        if event.name != kind:
            continue
        for one in _outcomes(event):
            if one.account == account:
                values = (one.weight, one.quality, one.losses, one.ended_at)
                sums = record(sums, *values, timestamp(event.block))
    return score(sums, now)
