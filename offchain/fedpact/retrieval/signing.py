"""Signed searches: requester, query, time and deployment (EIP-712).

A requester signs each search once; every daemon that the search reaches checks the same signature,
so that nobody can search in another's name, change the query, or send it again later. The
deployment's fingerprint is the domain's salt: a signature made on one local chain is invalid on
the next one with the same addresses.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eth_account.messages import encode_typed_data
from eth_utils.address import to_checksum_address
from eth_utils.exceptions import ValidationError as KeyFormatError

from fedpact.chain.keystore import AccountKeys
from fedpact.chain.signed_messages import SIGNATURE_BYTES, signer_of
from fedpact.errors import InvalidInput, RetrievalError, SearchRefused
from fedpact.retrieval.messages import MAX_ENVELOPE, NODE_BYTES
from fedpact.retrieval.signature import Signature
from fedpact.types.deployment import Deployment

WINDOW_SECONDS = 60
"""Largest difference (seconds) between a search's time and a daemon's clock."""
NONCE_BYTES = 16
MAX_CATEGORY = 100
"""Bytes."""
_VERSION = 1
_HEAD = struct.Struct(f">B{NODE_BYTES}s32s32sQ{NONCE_BYTES}s{SIGNATURE_BYTES}s")
_TYPES = {
    "Search": [
        {"name": "requester", "type": "address"},
        {"name": "category", "type": "string"},
        {"name": "queries", "type": "bytes32"},
        {"name": "timestamp", "type": "uint64"},
        {"name": "nonce", "type": "bytes16"},
    ]
}


@dataclass(frozen=True)
class SignedSearch:
    """A requester's signed search; its byte form is the envelope of each of the search's
    messages."""

    requester: str
    """Checksummed address."""
    category: str
    """The category that is searched for; may be empty."""
    queries: bytes
    """Digest of the query's signature, 32 bytes."""
    timestamp: int
    """Unix time, seconds."""
    nonce: bytes
    """16 random bytes."""
    fingerprint: bytes
    """The deployment's, 32 bytes."""
    signature: bytes

    def encode(self) -> bytes:
        """Fixed fields, then the category in UTF-8; at most 1,024 bytes."""
        head = _HEAD.pack(
            _VERSION,
            bytes.fromhex(self.requester.removeprefix("0x")),
            self.queries,
            self.fingerprint,
            self.timestamp,
            self.nonce,
            self.signature,
        )
        return head + self.category.encode()

    @classmethod
    def decode(cls, envelope: bytes) -> "SignedSearch":
        """Raises SearchRefused if the envelope is empty or malformed."""
        if not envelope:
            raise SearchRefused(401, "unsigned", "the search is not signed")
        if not _HEAD.size <= len(envelope) <= min(_HEAD.size + MAX_CATEGORY, MAX_ENVELOPE):
            raise SearchRefused(400, "malformed", f"envelope of {len(envelope)} bytes")
        version, node, queries, fingerprint, timestamp, nonce, signature = _HEAD.unpack_from(
            envelope
        )
        if version != _VERSION:
            raise SearchRefused(400, "malformed", f"unknown envelope version {version}")
        try:
            category = envelope[_HEAD.size :].decode()
        except UnicodeDecodeError:
            raise SearchRefused(400, "malformed", "the category is not UTF-8") from None
        requester = to_checksum_address(node)
        return cls(requester, category, queries, timestamp, nonce, fingerprint, signature)


def sign_search(
    keys: AccountKeys,
    deployment: Deployment,
    query: Signature,
    category: str,
    *,
    timestamp: int,
    nonce: bytes,
) -> SignedSearch:
    """A search signed by `keys`; raises RetrievalError if the category is too long, and for a
    contract wallet."""
    if keys.wallet is not None:
        raise RetrievalError(
            f"{keys.address} is a contract wallet, and searches are signed by keys: search with an"
            " account of its own"
        )
    if len(category.encode()) > MAX_CATEGORY or len(nonce) != NONCE_BYTES:
        raise RetrievalError(
            f"search: a category of {len(category.encode())} bytes (at most {MAX_CATEGORY}), "
            f"a nonce of {len(nonce)} ({NONCE_BYTES} needed)"
        )
    blank = SignedSearch(
        keys.address,
        category,
        query.digest,
        timestamp,
        nonce,
        deployment.fingerprint,
        bytes(SIGNATURE_BYTES),
    )
    signature = keys.sign_typed(*_typed(blank, deployment))
    return SignedSearch(*(*_fields(blank), signature))


class SearchGuard:
    """Checks searches for one daemon and remembers those seen; not thread-safe.

    `active`: whether an account is an active participant. A search may reach a daemon up to `times`
    times in other daemons' messages, but only once from its requester.
    """

    def __init__(
        self,
        deployment: Deployment,
        active: Callable[[str], bool],
        clock: Callable[[], float],
        *,
        window: int = WINDOW_SECONDS,
        times: int = 4,
        most: int = 50_000,
    ) -> None:
        self._deployment = deployment
        self._active = active
        self._clock = clock
        self._window = window
        self._times = times
        self._most = most
        self._seen: dict[tuple[str, bytes, bool], tuple[int, int]] = {}

    def admit(self, envelope: bytes, query: Signature, *, direct: bool) -> SignedSearch:
        """The search in `envelope`; SearchRefused if it is invalid for `query` here and now.

        `direct`: it comes from the requester itself, not in another daemon's message.
        """
        search = SignedSearch.decode(envelope)
        if search.fingerprint != self._deployment.fingerprint:
            raise SearchRefused(
                403,
                "foreign-deployment",
                f"the search is for deployment {search.fingerprint.hex()[:16]}, "
                f"this is {self._deployment.fingerprint.hex()[:16]}",
            )
        if search.queries != query.digest:
            raise SearchRefused(401, "other-query", "the signature is for another query")
        self._check_time(search.timestamp)
        if signer(search, self._deployment) != search.requester:
            raise SearchRefused(
                401, "bad-signature", f"the signature is not that of {search.requester}"
            )
        if not self._active(search.requester):
            raise SearchRefused(
                403, "no-participant", f"{search.requester} is not an active participant"
            )
        self._remember(search, direct)
        return search

    def _check_time(self, timestamp: int) -> None:
        late = self._clock() - timestamp
        if abs(late) <= self._window:
            return
        reason, way = ("expired", "behind") if late > 0 else ("from-the-future", "ahead of")
        raise SearchRefused(
            401,
            reason,
            f"the search's time is {abs(late):.0f} s {way} this clock, over {self._window} s: "
            "sign it again, or set the clock",
        )

    def _remember(self, search: SignedSearch, direct: bool) -> None:
        now = int(self._clock())
        key = (search.requester, search.nonce, direct)
        _, times = self._seen.pop(key, (0, 0))
        if times >= (1 if direct else self._times):
            self._seen[key] = (search.timestamp, times)
            raise SearchRefused(409, "replayed", "this search was sent before: sign a new one")
        if len(self._seen) >= self._most:
            old = [k for k, (at, _) in self._seen.items() if now - at > self._window]
            for one in old:
                del self._seen[one]
            if len(self._seen) >= self._most:
                raise SearchRefused(503, "busy", "too many searches at once: try again later")
        self._seen[key] = (search.timestamp, times + 1)


def _fields(search: SignedSearch) -> tuple[str, str, bytes, int, bytes, bytes]:
    return (
        search.requester,
        search.category,
        search.queries,
        search.timestamp,
        search.nonce,
        search.fingerprint,
    )


def _typed(
    search: SignedSearch, deployment: Deployment
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What is signed, as EIP-712 takes it: domain, types, message."""
    domain = {
        "name": "fedpact",
        "version": "1",
        "chainId": deployment.chain_id,
        "verifyingContract": deployment.registry,
        "salt": search.fingerprint,
    }
    return (
        domain,
        _TYPES,
        {
            "requester": search.requester,
            "category": search.category,
            "queries": search.queries,
            "timestamp": search.timestamp,
            "nonce": search.nonce,
        },
    )


def signer(search: SignedSearch, deployment: Deployment) -> str:
    """The account that signed a search; empty if the bytes are no signature."""
    try:
        message = encode_typed_data(*_typed(search, deployment))
        return signer_of(message, search.signature)
    except (KeyFormatError, ValueError, InvalidInput):
        return ""
