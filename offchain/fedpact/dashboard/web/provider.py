"""Reads what the provider's own page shows: its files, its daemon's health, its log."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import httpx

from fedpact.dashboard.views.market import summaries
from fedpact.dashboard.views.own_provider import DaemonRow, LogLine, OwnSources, OwnView, own_view
from fedpact.dashboard.web.site import Site
from fedpact.errors import FedpactError, Retryable
from fedpact.privacy.lifetime_budget import PrivacyLimit
from fedpact.provider.data_sets import ListedData, listed
from fedpact.provider.policy import Policy
from fedpact.provider.read_only import decisions, ledger_look
from fedpact.types.requests import ETHER

DEFAULT_DELTA = 1e-5
TAIL_BYTES = 256 * 1024
MOST_LINES = 20
MONITOR_SECONDS = 1.0
_TEXT_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\S* (WARNING|ERROR|CRITICAL) \S+: (.*)")


@dataclass(frozen=True)
class OwnFiles:
    """Where a provider's own things are."""

    account: str
    state: Path
    policy: Path | None = None
    log: Path | None = None
    """Of the daemon."""
    monitor: str = ""
    """host:port at which it tells its health."""


class OwnProvider:
    """The provider whose daemon runs on this machine."""

    def __init__(self, site: Site, files: OwnFiles) -> None:
        """Raises SettingsError for a policy that cannot be read, and as `data_sets.listed`."""
        self._site, self._files = site, files
        policy = None if files.policy is None else Policy.read(files.policy)
        self._limit: PrivacyLimit | None = None
        self._listed: dict[str, tuple[str, PrivacyLimit]] = {}
        if policy is not None and policy.data:
            self._listed = _by_budget(listed(policy, None, None))
        elif policy is not None:
            self._limit = PrivacyLimit(policy.epsilon_lifetime, policy.delta)
        self._delta = DEFAULT_DELTA if policy is None else policy.delta

    def view(self) -> OwnView:
        """Raises LedgerError, StateDamaged, StorageUnavailable."""
        return self._site.kept("own", self._make)

    def _make(self) -> OwnView:
        files, site = self._files, self._site
        deployment = site.client.deployment
        decided = decisions(files.state, deployment, files.account)
        with site.index() as index:
            payments = [
                (one.time, one.amount)
                for one in index.payments_to(files.account)
                if one.token == ETHER and not one.returned
            ]
            transactions = index.transactions_of(files.account)
            now = index.head()[1]
            new = [one.request for one in decided if one.standing == "new"]
            closed = frozenset(
                one.request for one in summaries(index.file, new) if not one.joinable(now)
            )
        return own_view(
            OwnSources(
                account=files.account,
                fingerprint=deployment.fingerprint,
                delta=self._delta,
                limit=self._limit,
                listed=self._listed,
                look=ledger_look(files.state, files.account),
                decisions=decided,
                closed=closed,
                acting={
                    one.request: self._acting(one.request)
                    for one in decided
                    if one.standing == "joined"
                },
                balance=self._balance(),
                daemon=daemon_row(files.monitor),
                log=() if files.log is None else last_problems(files.log),
                payments=payments,
                transactions=transactions,
                now=now,
            )
        )

    def _acting(self, request: int) -> str:
        """What a request waits for, as this account sees it."""
        try:
            now = self._site.request(request).now
        except FedpactError as error:
            return str(error)
        if self._files.account in now.waits_for:
            return f"It is this provider's turn. {now.says}"
        return f"Nothing to do now. {now.says}"

    def _balance(self) -> int | None:
        """Wei; None if no node tells it now."""
        try:
            return self._site.client.balance(self._files.account)
        except Retryable:
            return None


def _by_budget(every: tuple[ListedData, ...]) -> dict[str, tuple[str, PrivacyLimit]]:
    """Of data sets with one budget, the names together and the larger limit."""
    found: dict[str, tuple[str, PrivacyLimit]] = {}
    for one in every:
        name, limit = found.get(one.schema.data_id, ("", one.limit))
        larger = max(limit, one.limit, key=lambda each: each.epsilon)
        found[one.schema.data_id] = f"{name}, {one.name}" if name else one.name, larger
    return found


def daemon_row(monitor: str) -> DaemonRow:
    """What the daemon says of its health."""
    if not monitor:
        return DaemonRow(known=False, serves=False, problems=())
    try:
        answer = httpx.get(f"http://{monitor}/ready", timeout=MONITOR_SECONDS, trust_env=False)
        problems = tuple(map(str, answer.json().get("problems", ())))
    except (httpx.HTTPError, ValueError, AttributeError):
        return DaemonRow(
            known=True, serves=False, problems=(f"no daemon answers at http://{monitor}",)
        )
    return DaemonRow(known=True, serves=not problems, problems=problems)


def last_problems(log: Path) -> tuple[LogLine, ...]:
    """The last warnings and errors of a daemon's log, the newest first."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError as error:
        return (LogLine(time="", level="ERROR", message=f"log {log}: {error.strerror}"),)
    found = (parsed for line in reversed(lines) if (parsed := _problem(line)) is not None)
    return tuple(line for line, _ in zip(found, range(MOST_LINES), strict=False))


def _problem(line: str) -> LogLine | None:
    """A warning or error, of a text line or of `--log-json`."""
    if line.startswith("{"):
        try:
            said = json.loads(line)
            level = str(said["level"])
            if level not in ("WARNING", "ERROR", "CRITICAL"):
                return None
            return LogLine(time=str(said["time"]), level=level, message=str(said["message"]))
        except (ValueError, KeyError, TypeError):
            return None
    match = _TEXT_LINE.match(line)
    return match and LogLine(time=match[1], level=match[2], message=match[3])
