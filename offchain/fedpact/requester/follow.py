"""The requester's loop: open each round's slice as soon as its submissions have closed."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from fedpact.chain.faults import RpcError
from fedpact.errors import Retryable, Reverted
from fedpact.types.rounds import RequestRecord, RequestStatus, RoundState, Stage
from fedpact.types.v2 import Phase, Status

log = logging.getLogger(__name__)

FINISHED = (RequestStatus.DELIVERED, RequestStatus.CANCELLED)
LONGEST_PAUSE = 10.0
"""Longest pause (seconds) between retries while the RPC node or the content store is down."""


@dataclass(frozen=True)
class RequestProgress:
    """The state of a request; reported whenever it changes.

    `note` says what the requester did or what went wrong; otherwise it is empty.
    """

    request_id: int
    status: RequestStatus | Status
    round: int
    stage: Stage | Phase
    joined: int
    submitted: int
    """Number of models submitted in this round."""
    final_rounds: int
    model: bool
    """Whether there is a model to fetch."""
    note: str = ""
    declined: tuple[tuple[str, int], ...] = ()
    """Of providers that said why they stay out of a request of protocol 2: reasons, and how many
    gave each, the most frequent first."""

    @property
    def declined_text(self) -> str:
        """For people; empty if none declined."""
        if not self.declined:
            return ""
        total = sum(count for _, count in self.declined)
        return f"{total} declined ({', '.join(f'{why}: {n}' for why, n in self.declined)})"


def progress(record: RequestRecord, state: RoundState, note: str = "") -> RequestProgress:
    return RequestProgress(
        record.request_id,
        record.status,
        state.round,
        state.stage,
        record.joined,
        state.submitted.bit_count(),
        state.final_rounds,
        record.status is RequestStatus.DELIVERED,
        note,
    )


def slice_is_due(record: RequestRecord, state: RoundState) -> bool:
    """Whether submissions have closed and the slice of this round is still sealed."""
    running = record.status is RequestStatus.RUNNING
    return running and state.stage is Stage.COMMIT and not state.slice_opened


def follow(
    look: Callable[[], tuple[RequestRecord, RoundState]],
    open_slice: Callable[[RoundState], str],
    report: Callable[[RequestProgress], None],
    *,
    poll_interval: float,
    give_up_at: Callable[[RequestRecord, RoundState], float | None],
    now: Callable[[], int],
) -> RequestProgress:
    """Follow until the request is delivered or cancelled, or `give_up_at` (chain time) has passed.

    Keeps no state between polls, so it may be stopped and started at any time. Whatever fails is
    reported and tried again with growing pauses; what nobody foresaw is in the log with its trace.
    """
    last: RequestProgress | None = None
    failures = 0
    while True:
        try:
            record, state = look()
            note = _act(record, state, open_slice)
            limit = give_up_at(record, state)
            over = limit is not None and now() > limit
        except Exception as error:  # whatever it is, the request goes on
            failures += 1
            if not isinstance(error, Retryable):
                log.exception("following failed; trying again")
            if last is not None:
                last = replace(last, note=str(error))
                report(last)
            wait = error.fault.retry_after if isinstance(error, RpcError) else None
            time.sleep(max(wait or 0.0, min(poll_interval * 2**failures, LONGEST_PAUSE)))
            continue
        failures = 0
        current = progress(record, state, note)
        if current != last:
            report(current)
            last = current
        if record.status in FINISHED or over:
            return current
        time.sleep(poll_interval)


def _act(record: RequestRecord, state: RoundState, open_slice: Callable[[RoundState], str]) -> str:
    if not slice_is_due(record, state):
        return ""
    try:
        return open_slice(state)
    except Reverted as error:
        # The round moved on between look and transaction, or half of the commit window is over.
        return f"slice {state.round} stays sealed: {error}"
