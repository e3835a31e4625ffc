"""Long computations beside a service's cycle."""

import math
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from itertools import count
from queue import PriorityQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")

_Asked = tuple[float, float, int, Callable[[], None] | None]
"""Turn, when it is due, a number, and the computation; None: a thread's last."""
CLOSE_SECONDS = 3.0
"""How long a stopping service waits for computations; each can be made again."""


class Background:
    """Runs long computations beside the cycle, in threads that never hold up the process's end.

    Of those that wait, owners take turns, and of one turn that which is due first begins first:
    whoever asks for many delays others by one.
    """

    def __init__(self, patience: float, most: int = 1) -> None:
        """`patience`: seconds that `result` waits for a computation; 0 for one whose end nobody may
        see. `most`: computations at the same time."""
        self.patience, self._most, self._workers = patience, most, 0
        self._asked: PriorityQueue[_Asked] = PriorityQueue()
        self._turn = 0
        """Of what began last."""
        self._turns: dict[Hashable, int] = {}
        """The last that each owner has."""
        self._count = count()
        self._running: dict[object, tuple[Future[Any], float]] = {}
        self._unasked: set[object] = set()
        """Results that were overdue when `forget` was called last."""
        self._threads: list[Thread] = []

    def result(
        self,
        key: object,
        prepare: Callable[[], Callable[[], T]],
        due: float = 0.0,
        owner: Callable[[], Hashable] = lambda: None,
    ) -> T | None:
        """Start a computation once per key; returns its result, or None while it waits or runs.

        `due`: when its result is of no use any more, in seconds since 1970 by the chain's clock;
        0: never. A later call may move it. `owner`: tells whose turn it takes, when it is started.
        `prepare` gathers in the caller's thread what the computation needs, and returns it. An
        error of the computation is raised here, and the next call starts it again.
        """
        self.begin(key, prepare, due, owner)
        future: Future[T] = self._running[key][0]
        done, _ = wait([future], timeout=self.patience)
        if not done:
            return None
        del self._running[key]
        return future.result()

    def begin(
        self,
        key: object,
        prepare: Callable[[], Callable[[], T]],
        due: float = 0.0,
        owner: Callable[[], Hashable] = lambda: None,
    ) -> None:
        """As `result`, without waiting."""
        due = due or math.inf
        self._unasked.discard(key)
        known = self._running.get(key)
        self._running[key] = (known[0] if known else self.start(prepare(), due, owner())), due

    def start(
        self, compute: Callable[[], T], due: float = math.inf, owner: Hashable = None
    ) -> "Future[T]":
        """Start a computation, whoever waits for it."""
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(compute())
                except BaseException as error:  # noqa: BLE001 - raised where it is asked for
                    future.set_exception(error)

        self._asked.put((self._turn_of(owner), due, next(self._count), run))
        if self._workers < self._most:
            self._begin_thread()
        return future

    def at_once(self, most: int) -> None:
        """From now on, so many computations at the same time; those that run go on."""
        self._most = most
        self._threads = [one for one in self._threads if one.is_alive()]
        while self._workers > most:
            self._workers -= 1
            self._asked.put(self._last())
        for _ in range(min(most - self._workers, self._asked.qsize())):
            self._begin_thread()

    def _begin_thread(self) -> None:
        self._workers += 1
        thread = Thread(target=self._work, name="computing", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _last(self) -> _Asked:
        """What ends the thread that takes it, before anything else begins."""
        return -math.inf, -math.inf, next(self._count), None

    def forget(self, now: float) -> None:
        """Give up what was due before `now` and has not begun, so that it delays nothing else, and
        results for which nobody has asked since the call before."""
        for key, (future, due) in list(self._running.items()):
            if due >= now:
                continue
            if future.cancel() or key in self._unasked:
                del self._running[key]
                self._unasked.discard(key)
            elif future.done():
                self._unasked.add(key)

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Start nothing more, and wait a moment for what runs."""
        for future, _ in self._running.values():
            future.cancel()
        for _ in self._threads:
            self._asked.put(self._last())
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _turn_of(self, owner: Hashable) -> int:
        """The next of an owner: not before what has begun, and one after its last. What is
        nobody's has one turn, so that it is ordered by when it is due."""
        if owner is None:
            return 0
        now = self._turn
        self._turns = {one: turn for one, turn in self._turns.items() if turn >= now}
        turn = self._turns[owner] = max(now, self._turns.get(owner, now - 1) + 1)
        return turn

    def _work(self) -> None:
        while True:
            turn, _, _, asked = self._asked.get()
            if asked is None:
                return
            self._turn = max(self._turn, int(turn))
            asked()
