"""The exchange of a round's messages between daemons, in threads of its own.

Anti-entropy: each side says what it holds and sends what the other lacks. What is lost is sent
again at the next turn, and a peer that is slow or down delays nobody. The cycle opens a board
for each round that it takes part in, reads it, and adds what it says itself.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

from fedpact.closing import Closing
from fedpact.errors import InvalidInput, RetrievalError
from fedpact.exchange.messages import (
    Ballot,
    Forged,
    Kind,
    Message,
    RoundMessages,
    lacking,
)
from fedpact.exchange.sending import FULL_BOARD, LONGEST, Sending
from fedpact.exchange.submissions import (
    LONGEST_MODELS,
    Models,
    Roll,
    Submission,
    Trainers,
    shown,
)
from fedpact.exchange.version import VERSION, OtherVersion, Versioned
from fedpact.retrieval.http import OwnAddress, may_ask
from fedpact.retrieval.untrusted_http import Strangers

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 2.0
"""To connect, and for each write and read."""
WHOLE_SECONDS = 6.0
"""For all of that."""
REPAIR_SECONDS = 1.0
"""For a daemon to which others send what they say: it asks only for what was lost."""
NAMED_SECONDS = 3_600.0
"""Seconds for which a peer that refuses messages is named once in the log, for each reason."""
MOST_DECLINES = 1_000
"""Requests that can be asked about."""
AT_ONCE = 32
"""Concurrent requests, at most one to each peer."""
_ORDER = list(Kind)
ANYONE = ""
"""In place of a peer's address, for what came here."""
_ALL = (1 << 65_535) - 1
"""The mask of whoever wants no models."""
T = TypeVar("T", bound=Versioned)
Place = tuple[int, int]
"""Request and round."""


@dataclass
class _Named:
    """Models of a large round under way."""

    roll: Roll
    judging: bool
    peers: tuple[str, ...] = ()
    known: dict[str, int] = field(default_factory=dict)
    """By peer: the mask of the models that it says it holds."""
    asked: dict[str, float] = field(default_factory=dict)
    """By peer: when (`time.monotonic`)."""

    def due(self, peer: str, now: float, seconds: float) -> bool:
        """Whether there is something for a peer; what it has may be wanted too."""
        passed = now - self.asked.get(peer, 0.0)
        lacks = self.roll.mask & ~self.known.get(peer, 0)
        return passed >= seconds and (bool(lacks) or (self.judging and passed >= REPAIR_SECONDS))


class Exchange(Closing):
    """Boards of the rounds under way, and the daemons that hold others' messages. Thread-safe."""

    def __init__(self, fingerprint: bytes, own: OwnAddress, seconds: float) -> None:
        """`seconds`: between two looks at what others hold, where they cannot send it here."""
        self._fingerprint, self.address = fingerprint.hex(), own
        self._seconds = max(seconds, REPAIR_SECONDS) if own.url else seconds
        self._lock = threading.Lock()
        self._boards: dict[Place, RoundMessages] = {}
        self._fresh: dict[Place, list[Message]] = {}
        self._peers: dict[Place, tuple[str, ...]] = {}
        self._asked: dict[tuple[Place, str], float] = {}
        self._known: dict[tuple[Place, str], frozenset[bytes]] = {}
        """The words that a peer says it holds."""
        self._unfinished: set[tuple[Place, str]] = set()
        """Peers with which what did not fit follows at once."""
        self._followed: dict[tuple[Place, str], int] = {}
        """How often it did since the peer's turn."""
        self._rolls: dict[Place, _Named] = {}
        self._declines: dict[int, bytes] = {}
        """By request; the latest."""
        self._busy: set[str] = set()
        """Peers that have not answered yet."""
        self._refusing: dict[tuple[str, int], float] = {}
        """When (`time.monotonic`) a peer was named in the log that does not take what is sent."""
        self._news = threading.Event()
        self._stop = False
        self._http = Strangers(step=TIMEOUT_SECONDS, whole=WHOLE_SECONDS, private=own.is_private)
        self._workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="exchange")
        self._thread = threading.Thread(target=self._run, name="exchange", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask nobody any more."""
        self._stop = True
        self._news.set()

    def close(self) -> None:
        self.stop()
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
        allowed = self._allowed(peers)
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
            self._known = {at: words for at, words in self._known.items() if at[0] != place}
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
                self._known = {at: words for at, words in self._known.items() if at[0] != place}
                self._unfinished = {at for at in self._unfinished if at[0] != place}
                self._followed = {at: n for at, n in self._followed.items() if at[0] != place}
            for place in [one for one in self._rolls if one[0] == request and one[1] < before]:
                del self._rolls[place]

    def name_models(
        self,
        trainers: Trainers,
        peers: Iterable[str],
        own: Iterable[Submission],
        *,
        judging: bool,
    ) -> None:
        """Begin, or go on, to give a large round's models to its committee, or to gather them.

        `peers`: addresses of the committee's other daemons; `own`: models that are known here, with
        right signatures; `judging`: whether the others' models are wanted.
        """
        place = (trainers.request, trainers.round)
        allowed = self._allowed(peers)
        with self._lock:
            named = self._rolls.get(place)
            if named is None or named.roll.trainers != trainers:
                named = self._rolls[place] = _Named(Roll(trainers), judging)
            named.roll.held.update({one.index: one for one in own})
            named.peers = allowed
        self._news.set()

    def close_models(self, trainers: Trainers, known: Iterable[Submission]) -> None:
        """End the gathering of a round's models: none is taken from now on, of nobody. `known`:
        kept from before, with right signatures."""
        place = (trainers.request, trainers.round)
        with self._lock:
            named = self._rolls.get(place)
            if named is None or named.roll.trainers != trainers:
                named = self._rolls[place] = _Named(Roll(trainers, known), judging=False)
            named.judging, named.peers = False, ()

    def models(self, place: Place) -> dict[int, Submission]:
        """The models that are named in a round, by pool index; none in one that is not known."""
        with self._lock:
            named = self._rolls.get(place)
            return {} if named is None else dict(named.roll.held)

    def receipts(self, place: Place, index: int) -> int:
        """How many of the committee's other daemons say that they hold a member's model."""
        with self._lock:
            named = self._rolls.get(place)
            return 0 if named is None else sum(one >> index & 1 for one in named.known.values())

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
        """Take a peer's messages; those that it lacks. Raises RetrievalError (a 400) for a round
        that this daemon takes no part in, and for malformed content; OtherVersion (a 409)."""
        place = (request, round_)
        board = self._board(place) if fingerprint == self._fingerprint else None
        if board is None:
            raise RetrievalError(f"round {round_} of request {request} is not exchanged here")
        given = self._read(place, Sending, content)
        if self._take(place, board, given.messages):
            self._news.set()
        with self._lock:
            answer = Sending.of(board.words, lacking(given.words, board.all()))
        return answer.encode()

    def answer_models(self, fingerprint: str, request: int, round_: int, content: bytes) -> bytes:
        """Take models of a large round's trainers; those that the other side lacks. Raises as
        `answer`; a daemon that does not judge in the round takes none."""
        place = (request, round_)
        with self._lock:
            named = self._rolls.get(place)
        if fingerprint != self._fingerprint or named is None or not named.judging:
            raise RetrievalError(f"round {round_} of request {request} is not judged here")
        given = self._read(place, Models, content)
        self._take_models(named, given)
        with self._lock:
            return shown(named.roll, given.mask)

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
        latest own message, else the one that was asked longest ago; and those with which something
        did not fit. That is as much as a full board takes, and no turn: a peer that always has more
        keeps nobody from asking others."""
        now = time.monotonic()
        with self._lock:
            for place, peers in self._peers.items():
                asked = {peer: self._asked.get((place, peer), 0.0) for peer in peers}
                free = [peer for peer in peers if peer not in self._busy]
                due = [peer for peer in free if not asked[peer]]
                if not due and free and now - max(asked.values()) >= self._seconds:
                    due = [min(free, key=asked.__getitem__)]
                for peer in due:
                    self._asked[(place, peer)], self._followed[(place, peer)] = now, 0
                further = [
                    peer for peer in free if self._follows((place, peer)) and peer not in due
                ]
                for peer in further:
                    self._followed[(place, peer)] += 1
                for peer in [*due, *further]:
                    self._unfinished.discard((place, peer))
                    self._busy.add(peer)
                    self._workers.submit(self._ask, place, peer)
            for place, named in self._rolls.items():
                for peer in [one for one in named.peers if one not in self._busy]:
                    if named.due(peer, now, self._seconds):
                        named.asked[peer] = now
                        self._busy.add(peer)
                        self._workers.submit(self._ask_models, place, named, peer)

    def _follows(self, at: tuple[Place, str]) -> bool:
        return at in self._unfinished and self._followed.get(at, 0) < FULL_BOARD

    def _ask(self, place: Place, peer: str) -> None:
        """Give a peer what it lacks, and get what is lacking here. What did not fit follows at
        once, as long as that gets either side further: words count that are on this board, since
        others can be made up."""
        with self._asking(peer):
            board = self._board(place)
            if board is None:
                return
            with self._lock:
                known = self._known.get((place, peer), frozenset())
                given = Sending.of(board.words, lacking(known, board.all()))
            answer = Sending.decode(
                self._post(peer, self._url(peer, place), given.encode(), LONGEST)
            )
            new = self._take(place, board, answer.messages)
            with self._lock:
                if self._boards.get(place) is not board:
                    return
                self._known[(place, peer)] = words = answer.words
                own = board.words
                rest = lacking(words, board.all()) or words - own
                if rest and (new or len(words & own) > len(known & own)):
                    self._unfinished.add((place, peer))

    def _ask_models(self, place: Place, named: "_Named", peer: str) -> None:
        """Give a judge the models that it lacks; a judge gets those that it lacks itself."""
        with self._asking(peer):
            with self._lock:
                models = tuple(named.roll.lacking(named.known.get(peer, 0)))
                mask = named.roll.mask if named.judging else _ALL
            given = Models(known=f"{mask:x}", models=models).encode()
            url = f"{self._url(peer, place)}/models"
            found = Models.decode(self._post(peer, url, given, LONGEST_MODELS))
            with self._lock:
                named.known[peer] = found.mask
            self._take_models(named, found)

    def _post(self, peer: str, url: str, content: bytes, most: int) -> bytes:
        """A peer's answer. Raises RetrievalError for none; that what is sent is too long for a peer
        is told in the log, once an hour: else messages would be lost without a word."""
        status, answer = self._http.answer("POST", url, most, content, "application/json")
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and self._to_name(peer, status):
            log.warning(
                "%s refuses %d bytes of a round's messages as too long (413), though daemons take"
                " up to %d: is there a proxy before it with a lower limit?",
                peer,
                len(content),
                most,
            )
        if status == HTTPStatus.CONFLICT and self._to_name(peer, status):
            log.warning(
                "%s exchanges the messages of rounds in another version than this daemon, %d (409):"
                " run versions of fedpact that exchange the same one. Until then the two do not"
                " hear each other, and what a round lacks goes on chain, for more gas",
                peer,
                VERSION,
            )
        if status != HTTPStatus.OK:
            raise RetrievalError(f"{url} answered with status {status}")
        return answer

    def _read(self, place: Place, kind: type[T], content: bytes) -> T:
        """What came here. Raises RetrievalError; OtherVersion, told in the log once an hour: anyone
        may have sent it."""
        try:
            return kind.decode(content)
        except OtherVersion as error:
            if self._to_name(ANYONE, HTTPStatus.CONFLICT):
                log.warning("round %d of request %d: here came %s", place[1], place[0], error)
            raise
        except InvalidInput as error:
            raise RetrievalError(str(error)) from error

    def _to_name(self, peer: str, status: int) -> bool:
        """Whether a peer was not named for this within the hour; it counts as named from now on."""
        now, at = time.monotonic(), (peer, status)
        with self._lock:
            recent = {
                one: when for one, when in self._refusing.items() if now - when < NAMED_SECONDS
            }
            self._refusing = {at: now, **recent}
            return at not in recent

    def _url(self, peer: str, place: Place) -> str:
        return f"{peer}/exchange/{self._fingerprint}/{place[0]}/{place[1]}"

    @contextmanager
    def _asking(self, peer: str) -> Iterator[None]:
        """Whatever goes wrong with a peer is logged: nobody waits for the result."""
        try:
            yield
        except (RetrievalError, InvalidInput) as error:
            log.debug("no exchange with %s: %s", peer, error)
        except Exception:
            log.exception("an exchange with %s failed", peer)
        finally:
            with self._lock:
                self._busy.discard(peer)
            self._news.set()  # there may be more to say to it

    def _take_models(self, named: "_Named", given: Models) -> None:
        """Signatures are checked without the lock; what is not new costs nothing."""
        with self._lock:
            trial = Roll(named.roll.trainers, named.roll.held.values())
        new = trial.take(given.models)
        with self._lock:
            for one in new if named.judging else ():  # submissions may be over by now
                named.roll.held.setdefault(one.index, one)

    def _allowed(self, peers: Iterable[str]) -> tuple[str, ...]:
        addresses = (one.rstrip("/") for one in peers)
        return tuple(one for one in addresses if one != self.own and self._may_ask(one))

    def _board(self, place: Place) -> RoundMessages | None:
        with self._lock:
            return self._boards.get(place)

    def _take(
        self, place: Place, board: RoundMessages, messages: Sequence[Message]
    ) -> list[Message]:
        """Keep those that count; the new ones. Wallets are asked without the lock."""
        with self._lock:
            wanted = lacking(board.words, messages)
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

    Ends at one that a key did not sign: each costs milliseconds to find out. What a wallet has not
    signed was found before.
    """
    new = []
    for message in sorted(messages, key=lambda one: _ORDER.index(one.kind)):
        try:
            if board.take(message):
                new.append(message)
        except Forged as error:
            log.debug("a peer sent %s", error)
            if not message.wallet:
                break
    return new
