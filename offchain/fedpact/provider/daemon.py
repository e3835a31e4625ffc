"""The provider's daemon: one cycle, again and again.

A cycle reads new events up to a confirmed block, lists the requests that concern this account,
derives the next duty of each from chain facts, and does it. The contract sets deadlines and stages;
this loop only reacts. A failure in one request is logged, retried with back-off, and affects no
other request.
"""

import logging
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Frame
from fedpact.chain.scanner import EventScanner
from fedpact.content.store import ContentStore
from fedpact.errors import FedpactError, Retryable, Reverted, SettingsError
from fedpact.privacy.ledger import Ledger
from fedpact.privacy.ledger_check import reconcile
from fedpact.provider.context import Background, Cache, Context, RequestView
from fedpact.provider.duties import next_duty
from fedpact.provider.policy import Policy
from fedpact.provider.records import OwnRecords
from fedpact.provider.resale import resold
from fedpact.provider.state import ProviderState
from fedpact.provider.work import LocalWork
from fedpact.types.deployment import Deployment

log = logging.getLogger(__name__)

MAX_BACKOFF_SECONDS = 60.0
BALANCE_WARNING_WEI = 10**16


@dataclass(frozen=True)
class DaemonSettings:
    """How a daemon runs, and where its files are."""

    state: Path
    ledger: Path
    poll_seconds: float = 1.0
    confirmations: int = 0


@dataclass
class _Backoff:
    until: float = 0.0
    failures: int = 0
    reason: str = ""


class Daemon:
    """Serves requests for one account over one data set until it is stopped."""

    def __init__(
        self,
        client: ChainClient,
        deployment: Deployment,
        store: ContentStore,
        keys: AccountKeys,
        policy: Policy,
        records: OwnRecords,
        settings: DaemonSettings,
        work: LocalWork | None = None,
    ) -> None:
        self._settings = settings
        self._state = ProviderState(settings.state, deployment, keys.address)
        self._ledger_key = keys.derive("privacy-ledger")
        self._ledger = self._open_ledger()
        # Where models are submitted at fixed times, no cycle shows when a training ends.
        patience = 0.0 if policy.submit_after else settings.poll_seconds
        self._workers = Background(patience), Background(settings.poll_seconds)
        self._context = Context(
            keys,
            policy,
            records,
            work or LocalWork(),
            self._ledger,
            self._open_ledger,
            client,
            deployment,
            store,
            self._state,
            *self._workers,
            Cache(),
        )
        self._scanner: EventScanner | None = None
        self._backoff: dict[int, _Backoff] = {}
        self._reasons: dict[int, str] = {}
        self._stop = threading.Event()

    # ------------------------------------------------------------------ life

    def check(self) -> None:
        """Check everything that serving needs; raises SettingsError with all that is missing."""
        ctx = self._context
        checks: list[tuple[str, Callable[[], str | None]]] = [
            ("chain", self._check_account),
            ("content store", lambda: ctx.store.check()),
            ("data", self._check_records),
            ("privacy ledger", self._reconcile_ledger),
        ]
        missing = []
        for name, check in checks:
            try:
                problem = check()
            except FedpactError as error:
                problem = str(error)
            if problem:
                missing.append(f"{name}: {problem}")
        if missing:
            raise SettingsError("cannot serve: " + "; ".join(missing))

    def _check_account(self) -> str | None:
        ctx = self._context
        participant = ctx.client.registry.participant(ctx.keys.address)
        if not participant.active:
            return (
                f"account {ctx.keys.address} is not an active participant: "
                "register it (fedpact register) or ask the registrar"
            )
        if participant.encryption_key != bytes(
            ctx.keys.encryption_key(participant.key_version).public_key
        ):
            return f"the encryption key registered for {ctx.keys.address} is not this account's"
        balance = ctx.client.balance(ctx.keys.address)
        if balance == 0:
            return f"account {ctx.keys.address} holds no ether to pay for transactions"
        if balance < BALANCE_WARNING_WEI:
            log.warning("account %s holds only %d wei", ctx.keys.address, balance)
        return None

    def _check_records(self) -> None:
        """Read the data once, and tell their owner how much of them the schema does not cover."""
        misfits = self._context.records.load().misfits
        for count, why in (
            (misfits.unusable, "have a value that is not a finite number, and count as zero"),
            (misfits.undeclared_labels, "have a label that the schema lacks, and count as zero"),
            (misfits.outside, "have values outside their range, which count as its nearer end"),
            (misfits.beyond_unit, "are beyond examples_per_unit of their unit, and do not count"),
        ):
            if count:
                log.warning("%d of %d examples %s", count, misfits.examples, why)

    def _reconcile_ledger(self) -> str | None:
        """Refuse an older copy of the ledger: it must hold all own submissions on chain and the
        profile that was built here."""
        from fedpact.privacy.ledger_report import ReleaseId
        from fedpact.provider.profile import built_releases

        ctx = self._context
        self._scan(ctx.client.frame(self._settings.confirmations))
        own = [
            (
                ReleaseId(ctx.deployment.fingerprint, request, args["round"]),
                bytes.fromhex(args["digest"].removeprefix("0x")),
            )
            for request, _, _ in self._state.all_requests()
            for args in self._state.events(request, "ModelSubmitted")
            if args["member"].lower() == ctx.keys.address.lower()
        ]
        built = built_releases(self._settings.state, ctx.keys.address)
        reconcile(self._ledger, [*own, *built])
        return None

    def run(self) -> None:
        """Serve until `stop`, SIGINT or SIGTERM; a transaction under way is finished first."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: self.stop())
        log.info("serving as %s", self._context.keys.address)
        began, poll = time.monotonic(), self._settings.poll_seconds
        while not self._stop.is_set():
            if not self.cycle():
                # Cycles keep their beat, so that none tells how long the one before it took.
                self._stop.wait(poll - (time.monotonic() - began) % poll)
        self.close()
        log.info("stopped")

    def stop(self) -> None:
        self._stop.set()

    def close(self) -> None:
        for worker in self._workers:
            worker.close()
        self._ledger.close()
        self._state.close()
        self._context.store.close()

    def _open_ledger(self) -> Ledger:
        return Ledger(self._settings.ledger, self._ledger_key)

    # ------------------------------------------------------------------ the cycle

    def cycle(self) -> bool:
        """One pass over all open requests; True if anything was done (run again at once)."""
        try:
            frame = self._context.client.frame(self._settings.confirmations)
            self._scan(frame)
        except Retryable as error:
            log.warning("chain: %s", error)
            self._stop.wait(min(5 * self._settings.poll_seconds, MAX_BACKOFF_SECONDS))
            return False
        acted = False
        waiting = [request for request, _ in self._state.open_requests()]
        for request in sorted({*waiting, *resold(self._context, frame)}):
            if self._stop.is_set():
                break
            acted |= self._advance(request, frame)
        return acted

    def _scan(self, frame: Frame) -> None:
        """Store the events up to the frame; all or nothing."""
        state = self._state
        if frame.block_hash == state.block_hash:
            return
        if self._scanner is None:
            self._scanner = self._resumed_scanner()
        events = [
            (event.block, event.log_index, event.name, event.args)
            for event in self._scanner.scan(frame)
        ]
        if self._scanner.rewound_to is not None:
            state.rewind(self._scanner.rewound_to - 1)
            self._context.cache.clear()
        state.ingest(events, frame.block_number, frame.block_hash)

    def _resumed_scanner(self) -> EventScanner:
        """From the checkpoint on; from the start if its block is no longer on the chain."""
        state, ctx = self._state, self._context
        if state.block_hash:
            found = ctx.client.frame_at(state.block)
            if found is None or found.block_hash != state.block_hash:
                log.warning(
                    "block %d is no longer on the chain: reading all events again", state.block
                )
                state.rewind(ctx.deployment.block - 1)
        return EventScanner(ctx.client, state.block + 1)

    def _advance(self, request: int, frame: Frame) -> bool:
        backoff = self._backoff.setdefault(request, _Backoff())
        if time.monotonic() < backoff.until:
            return False
        try:
            outcome = next_duty(self._view(request, frame))
        except Reverted as error:
            # Another member was faster, or a deadline passed between reading and sending.
            self._note(request, f"not done: {error}")
            self._delay(backoff)
            return False
        except Retryable as error:
            self._note(request, f"will try again: {error}")
            self._delay(backoff)
            return False
        except FedpactError as error:
            log.error("request %d: %s", request, error, exc_info=log.isEnabledFor(logging.DEBUG))
            self._delay(backoff)
            return False
        self._backoff.pop(request, None)
        self._note(request, outcome.reason)
        return outcome.acted

    def _view(self, request: int, frame: Frame) -> RequestView:
        ctx = self._context
        record = ctx.client.market.request(request, frame)
        state, seat = ctx.client.rounds.duty(request, ctx.keys.address, frame)
        return RequestView(ctx, frame, record, state, seat)

    def _note(self, request: int, reason: str) -> None:
        """Log each reason when it changes: the log says why nothing happens."""
        if self._reasons.get(request) != reason:
            self._reasons[request] = reason
            log.info("request %d: %s", request, reason)

    def _delay(self, backoff: _Backoff) -> None:
        base = min(self._settings.poll_seconds * 2**backoff.failures, MAX_BACKOFF_SECONDS)
        backoff.failures = min(backoff.failures + 1, 16)
        backoff.until = time.monotonic() + base * random.uniform(0.5, 1.0)
