"""What a daemon checks of its account before it serves."""

from types import SimpleNamespace
from typing import Any

from eth_account import Account

from fedpact.chain.keystore import AccountKeys
from fedpact.monitor.resources import LITTLE_WEI
from fedpact.provider.startup_checks import Level, Problem, check_account


def findings(balance: int, *, active: bool = True) -> list[Problem]:
    keys = AccountKeys(Account.create())
    participant = SimpleNamespace(
        active=active, key_version=1, encryption_key=bytes(keys.encryption_key(1).public_key)
    )
    client: Any = SimpleNamespace(
        registry=SimpleNamespace(participant=lambda _: participant), balance=lambda _: balance
    )
    return list(check_account(client, keys))


def test_a_daemon_without_ether_waits_for_some() -> None:
    """Killed while its account was empty, it ended with code 2 at its next start, and the requests
    that it had joined went on without it (found by chaos)."""
    [empty] = findings(0)
    assert (empty.level, empty.passing) == (Level.PROBLEM, True)
    [little] = findings(LITTLE_WEI - 1)
    assert little.level is Level.WARNING
    assert findings(LITTLE_WEI) == []


def test_nothing_but_the_registrar_helps_an_account_that_is_not_admitted() -> None:
    stranger, empty = findings(0, active=False)
    assert (stranger.level, stranger.passing) == (Level.PROBLEM, False)
    assert empty.passing
