"""Several nodes as one: the best answers, and another takes over where it fails."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fedpact.chain.node import Node, Request
from fedpact.chain.node_errors import Fault, FaultKind, RpcError
from fedpact.chain.records import Frame
from fedpact.errors import DeploymentError, NodeUnreachable

log = logging.getLogger(__name__)
T = TypeVar("T")

TURNS = 3
"""How often all nodes are tried in one call, while pauses are short."""
PATIENCE = 1.0
"""Longest pause, in seconds, that a call waits out."""
PROBE_EVERY = 60.0
"""Seconds after which a node that is not in use is asked for its head."""
FASTER = 2.0
"""Another node replaces the one in use if it answers this many times as fast."""

_ELSEWHERE = (FaultKind.TRANSIENT, FaultKind.QUOTA, FaultKind.PERMANENT, FaultKind.UNKNOWN)
"""Refusals after which another node may answer. Capabilities are handled within the node."""
_AGAIN = (FaultKind.TRANSIENT, FaultKind.QUOTA)
"""Refusals after which the same node may answer soon."""


class WrongChain(DeploymentError):
    """A node is on another chain than expected."""


class Nodes:
    """All nodes of one chain; threads may share one."""

    def __init__(
        self,
        endpoints: str | Sequence[str],
        timeout: float = 10.0,
        calls_per_minute: int = 0,
    ) -> None:
        """`timeout` in seconds for each answer; `calls_per_minute` to each node, 0: any number."""
        given = [endpoints] if isinstance(endpoints, str) else list(endpoints)
        self.nodes = [Node(one, timeout, calls_per_minute) for one in given]
        self._check: Callable[[Node], None] | None = None
        self._checked: set[Node] = set()
        self._current = self.nodes[0]
        self._probed_at = time.monotonic()

    @property
    def endpoint(self) -> str:
        """Of the node in use."""
        return self._current.endpoint

    @property
    def shown(self) -> str:
        """The node in use, as messages may show it."""
        return self._current.shown

    def require(self, check: Callable[[Node], None]) -> None:
        """Run `check` on each node before it is used; WrongChain excludes the node.

        Raises WrongChain if that leaves none, NodeUnreachable if none answers.
        """
        self._check = check
        self._each("connect", lambda _: None)

    def call(self, method: str, *params: Any) -> Any:
        """One call; raises RpcError if the nodes refuse it, NodeUnreachable without an answer."""
        return self._each(method, lambda node: node.call(method, params))

    def follow_heads(self, on_head: Callable[[], None]) -> None:
        """Have the nodes that are reached over WebSocket push their heads, so that `head` seldom
        asks; `on_head` is called for each, in other threads."""
        for node in self.nodes:
            node.follow_heads(on_head)

    def head(self, at_least: int = 0) -> Any:
        """The latest block. `at_least`: a number that it must have by now, as of a block in which
        an own transaction was mined; a head that was pushed before is not taken then."""
        return self._each("eth_getBlockByNumber", lambda node: self._latest(node, at_least))

    def batch(self, requests: Sequence[Request]) -> list[Any]:
        """Several calls in as few round trips as the node allows; a refused call's result is its
        RpcError. Nodes run the calls of a batch in any order."""
        return self._each("batch", lambda node: _answered(node.batch(requests)))

    def read_at(self, reads: Sequence[Request], frame: Frame) -> list[Any]:
        """See `Node.read_at`."""
        return self._each("eth_call", lambda node: _answered(node.read_at(reads, frame)))

    def hashes_of(self, number: int) -> dict[str, str | None]:
        """What each node that answers says is the hash of this block, by node."""
        found: dict[str, str | None] = {}
        for node in self.nodes:
            try:
                self._require(node)
                block = node.call("eth_getBlockByNumber", [hex(number), False])
            except (NodeUnreachable, WrongChain) as error:
                log.debug("%s: %s", node.shown, error)
                continue
            found[node.endpoint] = None if block is None else str(block["hash"])
        return found

    def give_up(self) -> None:
        """See `Node.give_up`."""
        for node in self.nodes:
            node.give_up()

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    # Choosing

    def _each(self, method: str, ask: Callable[[Node], T]) -> T:
        """The first answer, from the best node on."""
        last: Exception | None = None
        for _ in range(TURNS):
            for node in self._usable():
                try:
                    self._require(node)
                    answer = ask(node)
                except RpcError as error:
                    if error.fault.kind not in _ELSEWHERE:
                        raise
                    last = error
                    node.health.failed(error.fault)
                except (NodeUnreachable, WrongChain) as error:
                    last = error
                    node.health.failed()
                else:
                    self._use(node)
                    return answer
            if not self._worth_waiting(last):
                break
        if last is None:
            wait = min(node.health.closed_for for node in self.nodes)
            message = f"the node asked to wait, {wait:.0f} s more"
            raise RpcError(method, 0, message, None, Fault(FaultKind.QUOTA, retry_after=wait))
        raise last

    def _usable(self) -> list[Node]:
        """Those to ask, best first: paused ones only if all are, and none that must be spared."""
        allowed = [node for node in self._ranked() if not node.health.closed_for]
        return [node for node in allowed if not node.health.pause] or allowed

    def _worth_waiting(self, last: Exception | None) -> bool:
        """Sleep out a short pause; False if another turn would not help."""
        if last is not None and not (isinstance(last, RpcError) and last.fault.kind in _AGAIN):
            return False
        pause = min(node.health.pause for node in self.nodes)
        if pause > PATIENCE:
            return False
        time.sleep(pause)
        return True

    def _ranked(self) -> list[Node]:
        if len(self.nodes) == 1:
            return self.nodes
        self._probe()
        best = max(node.health.known_head() for node in self.nodes)

        def rank(node: Node) -> tuple[int, bool, bool, float]:
            slower = self._current.health.latency > FASTER * node.health.latency > 0
            preferred = node is self._current or slower
            return node.health.tier(best), not node.pushes, not preferred, node.health.latency

        return sorted(self.nodes, key=rank)

    def _use(self, node: Node) -> None:
        if node is not self._current:
            log.info("using node %s instead of %s", node.shown, self._current.shown)
            self._current = node

    def _probe(self) -> None:
        """Ask the nodes that are not in use for their heads, from time to time."""
        if time.monotonic() - self._probed_at < PROBE_EVERY:
            return
        self._probed_at = time.monotonic()
        for node in self.nodes:
            if node is self._current or node.health.pause:
                continue
            try:
                self._require(node)
                self._latest(node)
            except (NodeUnreachable, WrongChain) as error:
                node.health.failed()
                log.debug("%s: %s", node.shown, error)

    def _latest(self, node: Node, at_least: int = 0) -> Any:
        """The head; a node that lags behind the others is refused."""
        block = node.head(at_least)
        if len(self.nodes) > 1:
            best = max(other.health.known_head() for other in self.nodes)
            if node.health.tier(best) == 2 and self._another(node):
                raise NodeUnreachable(
                    f"{node.shown} is at block {node.health.head}, another node at {best}"
                )
        return block

    def _another(self, node: Node) -> bool:
        return any(other is not node and not other.health.pause for other in self.nodes)

    def _require(self, node: Node) -> None:
        if self._check is None or node in self._checked:
            return
        try:
            self._check(node)
        except WrongChain as error:
            if len(self.nodes) > 1:
                log.error("node %s is not used: %s", node.shown, error)
            raise
        self._checked.add(node)


def _answered(answers: list[Any]) -> list[Any]:
    """Raise the first refusal after which another node, or another try, may answer."""
    for answer in answers:
        if isinstance(answer, RpcError) and answer.fault.kind in _AGAIN:
            raise answer
    return answers
