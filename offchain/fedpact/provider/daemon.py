"""The provider's daemon: one cycle, again and again.

A cycle reads new events up to a confirmed block, lists the requests that concern this account,
derives the next duty of each from chain facts, and does it. The contract sets deadlines and stages;
this loop only reacts. A failure in one request is logged, retried with back-off, and affects no
other request; one in the shared part restarts the cycle. Neither ends the process.
"""

import logging
import signal
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fedpact.background import CLOSE_SECONDS, Background
from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import TransactionCost
from fedpact.content import fetching
from fedpact.content.fetching import Fetching
from fedpact.content.store import ContentStore
from fedpact.errors import (
    LedgerReplaced,
    Retryable,
    SettingsError,
    StateDamaged,
    StorageUnavailable,
)
from fedpact.logs import about
from fedpact.monitor.health import Pulse
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.ledger.lock import ServingLock
from fedpact.provider import local_profile
from fedpact.provider.backoff import Backoffs
from fedpact.provider.context import Cache, Context
from fedpact.provider.data_sets import OwnData
from fedpact.provider.dispatch import Requests
from fedpact.provider.duties.declining import say_again
from fedpact.provider.duties.selling import resold
from fedpact.provider.housekeeping import Housekeeping
from fedpact.provider.ledger import other_deployments
from fedpact.provider.ledger.opening import introduce, open_ledger
from fedpact.provider.ledger.reconciling import Reconciliation
from fedpact.provider.metrics import ProviderMetrics
from fedpact.provider.policy import Policy
from fedpact.provider.policy_reload import reloaded
from fedpact.provider.polling import Pace
from fedpact.provider.scanning import Scanning
from fedpact.provider.snapshots import deployment_name, request_name
from fedpact.provider.startup_checks import (
    Check,
    Level,
    Problem,
    check_account,
    check_records,
    found,
)
from fedpact.provider.state.checkpoint import ProviderState
from fedpact.provider.training.trainer import Trainer
from fedpact.provider.trials import Trials
from fedpact.provider.trim_memory import give_back
from fedpact.provider.writable_files import Storage
from fedpact.signals import on_signals
from fedpact.types.deployment import Deployment
from fedpact.wakeup import LAST_CALLS, Bell

if TYPE_CHECKING:
    from collections.abc import Callable

    from fedpact.data.declared import DeclaredData
    from fedpact.exchange.gossip import Exchange

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DaemonSettings:
    """How a daemon runs, and where its files are."""

    state: Path
    ledger: Path
    poll_seconds: float = 1.0
    confirmations: int = 0
    new_data: bool = False
    """The owner says that data which look like charged ones are others."""
    only_daemon: bool = False
    """The operator says that no other daemon of the account runs."""
    policy_file: Path | None = None
    """Read again on SIGHUP."""
    keep_seconds: float = 0.0
    """For which content is kept after its request has ended."""
    prune: Path | None = None
    """State folder of all who use the store, if what none of them owes is to be unpinned."""


class Daemon:
    """Serves requests for one account, over one data set or several, until it is stopped."""

    FETCH_PATIENCE = fetching.PATIENCE
    """Seconds that a cycle waits for content, or for a trial of a training, before it goes on with
    other requests."""
    REQUESTS = Requests
    """What does the duties of a request."""

    def __init__(
        self,
        client: ChainClient,
        deployment: Deployment,
        store: ContentStore,
        keys: AccountKeys,
        policy: Policy,
        data: tuple[OwnData, ...],
        settings: DaemonSettings,
        trainer: Trainer,
        metrics: ProviderMetrics | None = None,
        exchange: "Exchange | None" = None,
        reload: threading.Event | None = None,
    ) -> None:
        """`reload`: set where the policy is to be read again."""
        self._settings = settings
        self._keys = keys
        with ExitStack() as opened:
            self._lock = opened.enter_context(ServingLock.of(settings.ledger))
            self._state = opened.enter_context(
                ProviderState(settings.state, deployment, keys.address, rebuild=True)
            )
            self._ledger = opened.enter_context(closing(open_ledger(settings.ledger, keys)))
            if exchange is not None:
                say_again(self._state, exchange)
            under_way = [
                request_name(deployment.fingerprint, one) for one, _ in self._state.open_requests()
            ]
            records = [one.records for one in data]
            for one in records:
                one.keep_only(deployment_name(deployment.fingerprint), under_way)
                one.keep_only_those_of(records)
            # From here on nothing is read or written.
            opened.pop_all()
        for served in data:
            served.records.accept = self._introducing(served.name)
        self._reconciliation = Reconciliation(
            self._ledger, settings.ledger.parent, keys.address, alone=settings.only_daemon
        )
        self._storage = Storage(self._state, self._ledger, self._reconciliation)
        # Another thread reads, so that records are kept while others are trained on.
        self._workers = (
            Background(self._patience(policy), policy.max_parallel_training),
            Background(0.0),
            Background(settings.poll_seconds),
            Trials(
                self.FETCH_PATIENCE,
                policy.max_parallel_training,
                lambda account: client.registry.participant(account).organisation,
            ),
        )
        self._context: Context = Context(
            keys,
            policy,
            data,
            trainer,
            self._ledger,
            self._open_ledger,
            client,
            deployment,
            store,
            self._state,
            *self._workers,
            Fetching(store, self.FETCH_PATIENCE),
            Cache(),
            metrics or ProviderMetrics(Pulse()),
            exchange,
        )
        self._context.metrics.watch(client.rpc.nodes)
        client.sender.paid = self._paid
        self._pace = Pace(settings.poll_seconds)
        self._backoffs = Backoffs(settings.poll_seconds)
        self._bell = Bell()
        self._scanning = Scanning(
            self._context, self._reconciliation, self._backoffs, lambda: self._bell.stopped
        )
        self._requests = self.REQUESTS(self._context, self._storage, self._backoffs)
        self._housekeeping = Housekeeping(
            settings.state.parent, settings.keep_seconds, settings.prune
        )
        self._reload = reload or threading.Event()

    # ------------------------------------------------------------------ life

    def check(self) -> None:
        """Check everything that serving needs; raises SettingsError with all that is missing, and
        Retryable while all of it may come by itself: a node, a store, a disk with room."""
        self._storage.check_writable()
        findings = self.examine()
        problems = [one for one in findings if one.level is Level.PROBLEM]
        said = "; ".join(f"{one.name}: {one.said}" for one in problems)
        if problems and all(one.passing for one in problems):
            raise Retryable(f"cannot serve yet: {said}")
        if problems:
            raise SettingsError(f"cannot serve: {said}")
        for finding in findings:
            if finding.level is Level.WARNING:
                log.warning("%s: %s", finding.name, finding.said)

    def examine(self) -> list[Problem]:
        """What the daemon finds of its account, store, data and ledger."""
        ctx = self._context
        return [
            *found("account", lambda: check_account(ctx.client, ctx.keys)),
            *found("content store", ctx.store.check),
            *(finding for one in ctx.data for finding in found(one.shown, self._check_of(one))),
            *found("privacy ledger", self._reconcile_ledger),
        ]

    def _check_of(self, data: OwnData) -> Check:
        return lambda: check_records(data, self._ledger, new_data=self._settings.new_data)

    def _reconcile_ledger(self) -> None:
        """Charge what this account has released and the ledger does not know: own submissions on
        chain, in this and other deployments, and the profile that was built here."""
        frame = self._context.client.frame(self._settings.confirmations)
        self._scanning.scan(frame)
        ctx, settings = self._context, self._settings
        other_deployments.remember(self._ledger, settings.state.parent, ctx.deployment)
        local_profile.restore(self._ledger, ctx.data, settings.state, self._keys.address)
        self._reconciliation.begin_again()
        self._reconciliation.compare(ctx, frame)

    def run(self) -> None:
        """Serve until `stop`, SIGINT or SIGTERM; a duty under way is finished
        first, but for its calls to nodes if `give_up_when_stopped` was called."""
        renewing = () if self._settings.policy_file is None else (signal.SIGHUP,)
        with (
            on_signals(self.stop, signal.SIGINT, signal.SIGTERM),
            on_signals(self._reload.set, *renewing),
        ):
            self._run()

    def _run(self) -> None:
        pulse = self._context.metrics.pulse
        give_back()
        pulse.serving()
        self._context.client.follow_heads(self._bell.head)
        log.info("serving as %s", self._context.keys.address)
        began = time.monotonic()
        while not self._bell.stopped:
            if self._reload.is_set():
                self._read_policy()
            begun = time.monotonic()
            acted = self.cycle()
            pulse.turned()
            if not acted:
                # Cycles keep their beat, so that none tells how long the one before it took. For
                # the same reason, a head that came during a cycle begins none.
                beat, now = min(self._pace.wait(), self._backoffs.longest_pause()), time.monotonic()
                heads_after = begun + self._pace.for_heads() - now
                self._bell.wait(beat - (now - began) % beat, heads_after)
        pulse.stopping()
        self.close()
        log.info("stopped")

    def stop(self) -> None:
        self._bell.stop()

    def give_up_when_stopped(self) -> None:
        """From now on, `stop` ends what nodes and other daemons do not answer, for good: for who
        ends with this daemon."""
        exchange, rpc = self._context.exchange, self._context.client.rpc
        asking = () if exchange is None else ((0.0, exchange.stop),)
        self._bell.afterwards(*asking, (LAST_CALLS, rpc.give_up))

    def close(self) -> None:
        self._context.trainer.close()
        self._context.fetching.close()
        until = time.monotonic() + CLOSE_SECONDS
        for worker in self._workers:
            worker.close(max(0.0, until - time.monotonic()))
        self._ledger.close()
        self._state.close()
        self._lock.close()
        self._context.store.close()

    def _read_policy(self) -> None:
        """Take over the policy as its file says now; a file with an error changes nothing."""
        self._reload.clear()
        assert self._settings.policy_file is not None
        context = reloaded(self._settings.policy_file, self._context)
        if context is None:
            return
        self._context, policy = context, context.policy
        private_work, _, _, trials = self._workers
        private_work.patience = self._patience(policy)
        private_work.at_once(policy.max_parallel_training)
        trials.at_once(policy.max_parallel_training)
        self._context.trainer.go_on_with(policy)
        self._requests.go_on_with(self._context)

    def _patience(self, policy: Policy) -> float:
        """Where models are submitted at fixed times, no cycle shows when a training ends."""
        return 0.0 if policy.submit_after else self._settings.poll_seconds

    def _open_ledger(self) -> Ledger:
        """For another thread: the same file, or LedgerReplaced."""
        return open_ledger(self._settings.ledger, self._keys, watch=self._ledger.file.watch)

    def _introducing(self, name: str) -> "Callable[[DeclaredData], None]":
        """Makes what a data set has become known to the ledger; called in any thread."""

        def accept(data: "DeclaredData") -> None:
            with self._open_ledger() as ledger:
                introduce(ledger, data, name)

        return accept

    # ------------------------------------------------------------------ the cycle

    def cycle(self) -> bool:
        """One pass over all open requests; True if anything was done (run again at once).

        Raises nothing: what fails in the shared part ends this cycle, and is tried again in the
        next; what fails in one request concerns that request alone.
        """
        if self._storage.replaced and not self._storage.take_other_ledger():
            self._context.metrics.cycle_failed()
            return False
        try:
            return self._pass()
        except StateDamaged as error:
            log.error("%s", error)
            return self._rebuild_state()
        except LedgerReplaced as error:
            log.error("%s", error)
            return self._storage.take_other_ledger()

    def _pass(self) -> bool:
        """A cycle; raises StateDamaged and LedgerReplaced."""
        metrics = self._context.metrics
        try:
            self._storage.require_recording()
            frame = self._context.client.frame(self._settings.confirmations)
            self._pace.saw(frame)
            self._scanning.scan(frame)
            self._reconciliation.compare(self._context, frame)
            sender = self._context.client.sender
            sender.timeout, sender.seen_block = self._pace.patience, frame.block_number
            under_way = sender.tend(self._context.keys)
            waiting = {request for request, _ in self._state.open_requests()}
            due = sorted(waiting | resold(self._context, frame))
        except (StateDamaged, LedgerReplaced):
            raise
        except StorageUnavailable as error:
            self._storage.cannot_record(error)
            metrics.cycle_failed()
            return False
        except Retryable as error:
            log.warning("chain: %s", error)
            self._pace.failed(error)
            metrics.cycle_failed()
            return False
        except Exception:  # whatever it is, the next cycle starts afresh
            metrics.unexpected.inc()
            metrics.cycle_failed()
            log.exception("the cycle failed; trying again")
            self._scanning.begin_again()
            self._pace.failed(None)
            return False
        self._pace.succeeded(busy=bool(due))
        for known in (self._backoffs, self._requests, self._context.cache):
            known.keep_only(due)
        metrics.cycle_succeeded(under_way, self._context.cache.held)
        acted = False
        for request in due:
            if self._bell.stopped:
                break
            with about(request=request):
                acted |= self._requests.advance(request, frame)
        metrics.saw(self._requests.stage(request) for request in due)
        self._pace.may_rest(min((self._requests.rest(request) for request in due), default=0.0))
        self._housekeeping.keep(self._context, frame)
        return acted

    def _rebuild_state(self) -> bool:
        """Replace a damaged state by an empty one; whether that was possible."""
        self._scanning.begin_again()
        self._context.cache.clear()
        self._requests.forget()
        return self._storage.rebuild_state()

    def _paid(self, paid: TransactionCost) -> None:
        self._context.metrics.paid(paid)
        if paid.purpose:
            self._state.add_cost(paid.purpose, paid.wei)
