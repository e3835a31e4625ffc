"""The exchange of a round's messages between daemons, in threads of its own.

Anti-entropy: each side sends all that it holds and gets all that the other holds. What is lost is
sent again at the next turn, and a peer that is slow or down delays nobody. The cycle opens a board
for each round that it takes part in, reads it, and adds what it says itself.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from fedpact.closing import Closing
from fedpact.errors import InvalidInput, RetrievalError
from fedpact.exchange.messages import (
    LONGEST,
    Ballot,
    Forged,
    Kind,
    Message,
    RoundMessages,
    decode,
    encode,
)
from fedpact.retrieval.http import OwnAddress, may_ask
from fedpact.retrieval.strangers import Strangers

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 2.0
"""To connect, and for each write and read."""
WHOLE_SECONDS = 6.0
"""For all of that."""
REPAIR_SECONDS = 1.0
"""For a daemon to which others send what they say: it asks only for what was lost."""
MOST_DECLINES = 1_000
"""Requests that can be asked about."""
AT_ONCE = 32
"""Concurrent requests, at most one to each peer."""
_ORDER = list(Kind)
Place = tuple[int, int]
"""Request and round."""


class Exchange(Closing):
    """Boards of the rounds under way, and the daemons that hold others' messages. Thread-safe."""

    def __init__(self, fingerprint: bytes, own: OwnAddress, seconds: float) -> None:
        """`seconds`: between two looks
        at what others hold, where they cannot send it here."""
        self._fingerprint, self.address = fingerprint.hex(), own
        self._seconds = max(seconds, REPAIR_SECONDS) if own.url else seconds
        self._lock = threading.Lock()
        self._boards: dict[Place, RoundMessages] = {}
        self._fresh: dict[Place, list[Message]] = {}
        self._peers: dict[Place, tuple[str, ...]] = {}
        self._asked: dict[tuple[Place, str], float] = {}
        self._declines: dict[int, bytes] = {}
        """By request; the latest."""
        self._busy: set[str] = set()
        """Peers that have not answered yet."""
        self._news = threading.Event()
        self._stop = False
        self._http = Strangers(step=TIMEOUT_SECONDS, whole=WHOLE_SECONDS, private=own.is_private)
        self._workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="exchange")
        self._thread = threading.Thread(target=self._run, name="exchange", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop = True
        self._news.set()
        if self._thread.is_alive():
            self._thread.join()
        self._workers.shutdown(wait=True, cancel_futures=True)
        self._http.close()

    # ------------------------------------------------------------------ for the cycle

    @property
    def own(self) -> str:
        """This daemon's address as others reach it; empty if it has none."""
        return self.address.url

    def open(
        self, ballot: Ballot, peers: Iterable[str], known: Callable[[], Iterable[Message]]
    ) -> None:
        """Begin, or go on, to exchange a round; `known`: reads messages kept from before."""
        place = (ballot.request, ballot.round)
        addresses = (one.rstrip("/") for one in peers)
        allowed = tuple(one for one in addresses if one != self.own and self._may_ask(one))
        with self._lock:
            board = self._boards.get(place)
            if board is not None and board.ballot == ballot:
                self._peers[place] = allowed
                return
        kept = list(known())
        ballot.look_up(kept, own=True)
        with self._lock:
            self._peers[place] = allowed
            board = self._boards[place] = RoundMessages(ballot)
            self._fresh[place] = []
            _merge(board, kept)
        self._news.set()

    def say(self, place: Place, message: Message) -> None:
        """Add an own message, and send it at once."""
        self._boards[place].ballot.look_up([message], own=True)
        with self._lock:
            self._boards[place].take(message)
            self._asked = {at: when for at, when in self._asked.items() if at[0] != place}
        self._news.set()

    def board(self, place: Place) -> RoundMessages:
        """A copy of what has been said in a round."""
        with self._lock:
            board = self._boards[place]
            return RoundMessages(board.ballot, dict(board.messages), dict(board.contradictions))

    def said(self, place: Place) -> frozenset[tuple[Kind, int]]:
        """Kinds of messages by seat; nothing in a round that is not exchanged."""
        with self._lock:
            board = self._boards.get(place)
            return frozenset() if board is None else frozenset(board.messages)

    def fresh(self, place: Place) -> list[Message]:
        """What others have said since the last call."""
        with self._lock:
            found, self._fresh[place] = self._fresh[place], []
            return found

    def forget(self, request: int, before: int) -> None:
        """Drop a request's rounds before a number."""
        with self._lock:
            for place in [one for one in self._boards if one[0] == request and one[1] < before]:
                del self._boards[place], self._peers[place], self._fresh[place]
                self._asked = {at: when for at, when in self._asked.items() if at[0] != place}

    def decline(self, request: int, content: bytes) -> None:
        """Answer with this whoever asks why this daemon stays out of a request."""
        with self._lock:
            self._declines[request] = content
            while len(self._declines) > MOST_DECLINES:
                del self._declines[min(self._declines)]

    # ------------------------------------------------------------------ for peers

    def declined(self, fingerprint: str, request: int) -> bytes | None:
        """Why this daemon stays out of a request, signed; None: it says nothing."""
        with self._lock:
            return self._declines.get(request) if fingerprint == self._fingerprint else None

    def answer(self, fingerprint: str, request: int, round_: int, content: bytes) -> bytes:
        """Take a peer's messages; all that is held here. Raises RetrievalError (404 in effect) for
        a round that this daemon takes no part in, and for malformed content."""
        place = (request, round_)
        board = self._board(place) if fingerprint == self._fingerprint else None
        if board is None:
            raise RetrievalError(f"round {round_} of request {request} is not exchanged here")
        try:
            found = decode(content)
        except InvalidInput as error:
            raise RetrievalError(str(error)) from error
        new = self._take(place, board, found)
        with self._lock:
            answer = encode(board.all())
        if new:
            self._news.set()
        return answer

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        while not self._stop:
            self._news.wait(self._seconds)
            self._news.clear()
            try:
                self._turn()
            except Exception:  # whatever it is, the next turn starts afresh
                log.exception("an exchange of messages failed")
            time.sleep(min(self._seconds, 0.02))

    def _turn(self) -> None:
        """Ask the peers whose turn it is, without waiting for them: all that have not had the
        latest own message, else the one that was asked longest ago."""
        now = time.monotonic()
        with self._lock:
            for place, peers in self._peers.items():
                asked = {peer: self._asked.get((place, peer), 0.0) for peer in peers}
                free = [peer for peer in peers if peer not in self._busy]
                due = [peer for peer in free if not asked[peer]]
                if not due and free and now - max(asked.values()) >= self._seconds:
                    due = [min(free, key=asked.__getitem__)]
                for peer in due:
                    self._asked[(place, peer)] = now
                    self._busy.add(peer)
                    held = encode(self._boards[place].all())
                    self._workers.submit(self._ask, place, peer, held)

    def _ask(self, place: Place, peer: str, content: bytes) -> None:
        path = f"/exchange/{self._fingerprint}/{place[0]}/{place[1]}"
        try:
            answer = self._http.post(peer + path, content, "application/json", LONGEST)
            board = self._board(place)
            if board is not None:
                self._take(place, board, decode(answer))
        except (RetrievalError, InvalidInput) as error:
            log.debug("no exchange with %s: %s", peer, error)
        except Exception:  # nobody waits for the result
            log.exception("an exchange with %s failed", peer)
        finally:
            with self._lock:
                self._busy.discard(peer)
            self._news.set()  # there may be more to say to it

    def _board(self, place: Place) -> RoundMessages | None:
        with self._lock:
            return self._boards.get(place)

    def _take(self, place: Place, board: RoundMessages, messages: list[Message]) -> list[Message]:
        """Keep those that count; the new ones. Wallets are asked without the lock."""
        with self._lock:
            wanted = board.wanted(messages)
        board.ballot.look_up(wanted)
        with self._lock:
            if self._boards.get(place) is not board:
                return []
            new = _merge(board, messages)
            self._fresh[place] += new
            return new

    def _may_ask(self, endpoint: str) -> bool:
        return may_ask(self.address.is_private, endpoint)


def _merge(board: RoundMessages, messages: Iterable[Message]) -> list[Message]:
    """Take messages in the order of kinds, since a reveal needs its commitment; the new ones.

    Ends at a forged one: each costs milliseconds to find out.
    """
    new = []
    for message in sorted(messages, key=lambda one: _ORDER.index(one.kind)):
        try:
            if board.take(message):
                new.append(message)
        except Forged as error:
            log.debug("a peer sent %s", error)
            break
    return new
