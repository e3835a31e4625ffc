"""Runs cases on the machines of a Ray cluster.

Each machine needs this checkout and, under FEDPACT_DATA, the data. Results and states are sent to
the machine that started the run; only that machine writes them.
"""

import os
from importlib.util import find_spec
from typing import Any

from fedpact.errors import InvalidInput
from lab.harness.checkpoint import CHECKPOINT_SECONDS, Saved
from lab.harness.configuration import Case, Device
from lab.harness.worker import Event, Failed, Finished, Skipped, perform

LOCAL = "local"
"""The address that starts a cluster on this machine."""
PATIENCE_SECONDS = 1.0


class RayWorkers:
    """One Ray task per case; `size` is the cluster's number of cores, or of GPUs for `cuda`.

    Raises InvalidInput if Ray is not installed or no cluster answers at `address`.
    """

    def __init__(
        self,
        address: str,
        device: Device,
        size: int | None = None,
        every: float = CHECKPOINT_SECONDS,
    ) -> None:
        if find_spec("ray") is None:
            raise InvalidInput("a cluster needs Ray: pip install 'ray>=2.52,<3'")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray warns if unset
        import ray
        from ray.util.queue import Queue

        try:
            cores = size if address == LOCAL else None
            ray.init(address, num_cpus=cores, log_to_driver=False, configure_logging=False)
        except (ConnectionError, ValueError) as error:
            raise InvalidInput(f"no Ray cluster at {address}: {error}") from error
        self._ray = ray
        self._every = every
        self._events: Any = Queue(actor_options={"num_cpus": 0})
        self._running: dict[Any, Case] = {}
        unit = "GPU" if device is Device.CUDA else "CPU"
        self.size = size or int(ray.cluster_resources().get(unit, 0))
        if not self.size:
            raise InvalidInput(f"the Ray cluster at {address} has no {unit}")
        gpus = int(device is Device.CUDA)
        self._task: Any = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(_perform)

    def start(self, case: Case, resumed: Saved | None) -> None:
        reference = self._task.remote(case, resumed, self._every, self._events)
        self._running[reference] = case

    def next_event(self) -> tuple[Case, Event]:
        from ray.util.queue import Empty

        while True:
            try:
                case, event = self._events.get(timeout=PATIENCE_SECONDS)
            except Empty:
                dead = self._dead()
                if dead is not None:
                    return dead
                continue
            if isinstance(event, Finished | Skipped | Failed):
                self._running = {ref: one for ref, one in self._running.items() if one != case}
            return case, event

    def stop(self) -> None:
        self._ray.shutdown()

    def _dead(self) -> tuple[Case, Event] | None:
        """A task that ended without reporting: its machine or process is gone."""
        ended, _ = self._ray.wait(list(self._running), num_returns=1, timeout=0)
        for reference in ended:
            case = self._running[reference]
            try:
                self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                del self._running[reference]
                return case, Failed(f"its task ended: {str(error).splitlines()[0]}")
        return None


def _perform(case: Case, resumed: Saved | None, every: float, events: Any) -> None:
    perform(case, resumed, every, lambda event: events.put((case, event)))
