"""The heads that a node pushes over its WebSocket (`eth_subscribe` with "newHeads"), and for how
long each is believed."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from fedpact.chain.node_errors import Capability, RpcError
from fedpact.chain.websocket import Pushed, WebSocket

log = logging.getLogger(__name__)

BELIEVED_FOR = 15.0
"""Seconds after which the node is asked whether a head is still the latest."""
SILENT_FOR = 60.0
"""Seconds without a head, while the chain goes on, after which the node is connected to again."""


class PushedHeads:
    """Of one node, over whichever connection to it there is."""

    def __init__(
        self,
        socket: WebSocket,
        call: Callable[[str, Sequence[Any]], Any],
        lacks: set[Capability],
        shown: str,
    ) -> None:
        """`call`: one call to the node; `lacks`: what it cannot do; `shown`: its name in logs."""
        self._socket, self._call, self._lacks, self._shown = socket, call, lacks, shown
        self.agreed = False
        """Whether it agreed to push when it was asked last."""
        self._tried: object | None = None
        """The connection over which it was asked to push."""
        self._tried_at = 0.0
        self._same: tuple[str, float] = ("", 0.0)
        """The hash of a head that was still the latest when the node was asked, and when it was
        asked last: until then the chain had not gone on, so there was nothing to push."""
        self._stale: Pushed | None = None
        """A head that was not."""

    def subscribe(self) -> None:
        """Once for each connection. Raises NodeUnreachable without an answer; a node that refuses
        is polled."""
        present = self._socket.connection
        if Capability.HEADS in self._lacks or (present is not None and present is self._tried):
            return
        try:
            self._call("eth_subscribe", ["newHeads"])
            self.agreed = True
        except RpcError as error:
            self.agreed = False
            log.info("node %s is polled for its heads: %s", self._shown, error)
            if error.fault.capability is Capability.HEADS:
                self._lacks.add(Capability.HEADS)
        self._tried, self._tried_at = self._socket.connection, time.monotonic()
        self._same = ("", 0.0)

    def newest(self) -> Pushed | None:
        """The head that the node pushed last; None if it should rather be asked."""
        pushed = self._socket.pushed
        if pushed is None or pushed is self._stale:
            return None
        return pushed if time.monotonic() - self._standing(pushed) < BELIEVED_FOR else None

    def compare(self, block: Any) -> None:
        """Learn from the head that the node named when it was asked."""
        now, pushed, named = time.monotonic(), self._socket.pushed, str(block["hash"])
        # Before the first push, the head that the node named first takes its place.
        if named == (pushed.block["hash"] if pushed else self._same[0] or named):
            self._same = named, now
            return
        self._stale = pushed
        since = self._standing(pushed) if pushed else max(self._tried_at, self._same[1])
        if Capability.HEADS not in self._lacks and now - since > SILENT_FOR:
            log.info(
                "node %s pushed no head for %.0f s: connecting again", self._shown, now - since
            )
            self._socket.close()

    def _standing(self, pushed: Pushed) -> float:
        """When this head was last known to be the latest, in monotonic seconds."""
        confirmed, at = self._same
        return max(pushed.at, at) if pushed.block["hash"] == confirmed else pushed.at
