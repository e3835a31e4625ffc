"""What a policy that is read again changes in a daemon that runs."""

from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

from fedpact.background import Background
from fedpact.provider.daemon import Daemon
from fedpact.provider.policy import Policy
from fedpact.provider.training.work import LocalWork
from fedpact.provider.training.worker_pool import WorkerPool
from fedpact.provider.trials import Trials


@dataclass(frozen=True)
class Parts:
    """Of a context, as far as a policy concerns them."""

    policy: Policy
    trainer: WorkerPool
    data: tuple[Any, ...] = ()


def test_limits_of_trainings_and_trials_hold_for_those_that_begin_later(tmp_path: Path) -> None:
    """They were those of the start until the next one."""
    file, before = tmp_path / "policy.toml", Policy(max_parallel_training=2)
    file.write_text("max_parallel_training = 5\nmax_training_seconds = 7.0\n")
    pool, work = WorkerPool(LocalWork(), before), Background(0.0, 2)
    trials = Trials(0.0, 2, str)
    daemon: Any = SimpleNamespace(
        _context=Parts(before, pool),
        _reload=Event(),
        _settings=SimpleNamespace(policy_file=file),
        _workers=(work, Background(0.0), Background(0.0), trials),
        _patience=lambda _: 0.0,
        _requests=SimpleNamespace(go_on_with=lambda _: None),
    )
    Daemon._read_policy(daemon)
    assert daemon._context.policy.max_training_seconds == 7.0
    assert pool._policy == daemon._context.policy
    assert (work._most, trials._brief._most) == (5, 4)
