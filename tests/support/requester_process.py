"""The requester's service as a process."""

import signal

from fedpact.demo.fleet import Process
from fedpact.demo.network import DemoNetwork
from tests.support.waiting import PATIENCE
from tests.support.world import POLL


class Service:
    """`fedpact requester serve` as a process; its log grows over all starts."""

    def __init__(self, network: DemoNetwork) -> None:
        self._network = network
        self.log_file = network.folder / "requester.log"

    def start(self) -> None:
        config = self._network.folder / "requester.toml"
        config.write_text(self._network.settings("requester", POLL))
        command = ["fedpact", "--config", str(config), "requester", "serve"]
        self._process: Process = self._network.start_process(command, self.log_file)
        self._network.daemons.append(self._process)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self) -> None:
        self._network.daemons.remove(self._process)
        self.send(signal.SIGTERM)
        assert self._process.wait(PATIENCE) == 0, self.log()

    def log(self) -> str:
        return self.log_file.read_text()
