"""Finding providers: a signed search that enters at any daemon, its answer held against the chain.

What the answering daemons say is believed nowhere: a profile counts where the registry has its
digest for its account, and likeness is computed here.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.content.store import ContentStore
from fedpact.errors import ContentMissing, InvalidInput, NotReady, RetrievalError, SearchFailed
from fedpact.retrieval.directory import ProfileDirectory
from fedpact.retrieval.ids import logical_distance
from fedpact.retrieval.messages import MAX_FOUND, Record
from fedpact.retrieval.profiles.composition import composed, context_rows, data_part
from fedpact.retrieval.profiles.document import LONGEST_DOCUMENT, Profile, name32
from fedpact.retrieval.profiles.release import exact_sum
from fedpact.retrieval.search_api import Refusal, SearchAnswer, SearchBody
from fedpact.retrieval.search_record import FoundProvider, RetrievalRecord
from fedpact.retrieval.signature import Signature, weighted_jaccard
from fedpact.retrieval.signing import NONCE_BYTES, sign_search
from fedpact.retrieval.untrusted_http import Strangers
from fedpact.retrieval.vectors import query_of_terms
from fedpact.types.cid import Cid
from fedpact.types.distance import Distance

SEARCH_PATH, ABOUT_PATH = "/retrieval/search", "/retrieval/about"
TIMEOUT_SECONDS = 15.0
"""For each step of asking a daemon; it makes its whole search in one of them."""
WHOLE_SECONDS = 30.0
"""For all of it."""
ENTRIES_TRIED = 8
"""Number of newest profiles whose daemons are tried in turn if no entry is given."""
LONGEST_ANSWER = 1 << 20
"""Bytes."""
PINGS, PING_SECONDS = 3, 2.0
"""Round trips to a daemon, of which the shortest counts, and how long one may take."""
LONGEST_ABOUT = 1 << 16
"""Bytes."""


@dataclass(frozen=True)
class CheckedProvider:
    """A provider found by a search and checked against the chain."""

    account: str
    profile: Profile
    likeness: float
    """Weighted Jaccard of query and published signature, 0 to 1."""
    reputation: int
    """0 to 10,000."""
    category_proven: bool
    """Whether the contract verified the category in the profile's Merkle tree."""
    attested: bool
    """Whether the registrar vouches for the profile's attributes."""
    distance: float | None = None
    """Equation 1's; None unless it was asked for."""


def query_of(terms: Sequence[str] = (), category: str = "", like: Sequence[str] = ()) -> Signature:
    """The query's signature: words, or texts like the wanted ones, and a category's words.

    Raises RetrievalError if none of them has a meaningful word.
    """
    if terms and like:
        raise InvalidInput("both --terms and --like are given: use one of them")
    part = None
    if like:
        rows = context_rows(like)
        part = data_part(exact_sum(rows))
    elif terms:
        part = query_of_terms([word for one in terms for word in one.split()])
    if part is None and not category:
        raise InvalidInput("nothing to search for: give --category, --terms or --like")
    return composed(part, [category] if category else [])


def entry_points(
    directory: ProfileDirectory, store: ContentStore, tried: int = ENTRIES_TRIED
) -> list[str]:
    """Daemon addresses from the newest profiles on chain; raises NotReady if there is none."""
    found = []
    for node in directory.newest(tried):
        entry = directory.entry(node)
        if entry is None:
            continue
        try:
            cid = Cid.of_digest(entry.digest, LONGEST_DOCUMENT)
            one = Profile.decode(node, store.get(cid, LONGEST_DOCUMENT))
        except (RetrievalError, ContentMissing):
            continue
        if one.details.endpoint:
            found.append(one.details.endpoint)
    if not found:
        raise NotReady("no published profile has a daemon address: give one with --at")
    return found


class Searcher:
    """Searches of one account."""

    def __init__(
        self,
        client: ChainClient,
        store: ContentStore,
        keys: AccountKeys,
        directory: ProfileDirectory | None = None,
    ) -> None:
        self._client = client
        self._store = store
        self._keys = keys
        self._directory = directory or ProfileDirectory(client)
        self._http = Strangers(step=TIMEOUT_SECONDS, whole=WHOLE_SECONDS)
        self._pings = Strangers(step=PING_SECONDS, whole=PING_SECONDS)

    def close(self) -> None:
        self._http.close()
        self._pings.close()

    def search(
        self,
        query: Signature,
        category: str = "",
        want: int = 10,
        at: str | None = None,
        distance: Distance = Distance.JACCARD,
        flood: bool = False,
    ) -> tuple[list[CheckedProvider], RetrievalRecord]:
        """The providers most like the query, best first, and the record of the search.

        With a category, only providers whose profiles name it or a subcategory ("texts" includes
        "texts/news"). By the paper's distance, providers whose daemons do not answer are left out:
        they have none. With `flood`, by the paper's recursion (`retrieval.flooding`). Raises
        SearchFailed if no daemon answers (with the reason, if one refuses),
        InvalidInput for a count out of range.
        """
        if not 1 <= want <= MAX_FOUND:
            raise InvalidInput(
                f"cannot search for {want} providers: give a number from 1 to {MAX_FOUND}"
            )
        self._directory.refresh()
        entries = [at.rstrip("/")] if at else entry_points(self._directory, self._store)
        failures = []
        for entry in entries:
            signed = sign_search(
                self._keys,
                self._client.deployment,
                query,
                category,
                timestamp=int(time.time()),
                nonce=secrets.token_bytes(NONCE_BYTES),
            )
            body = SearchBody(
                query=query.encode().hex(),
                want=MAX_FOUND if category or distance is Distance.PAPER else want,
                envelope=signed.encode().hex(),
                flood=flood,
            )
            try:
                answer = ask(self._http, entry, body)
            except SearchFailed as error:
                failures.append(f"{entry}: {error}")
                continue
            candidates = self._checked(query, category, answer)
            if distance is Distance.PAPER:
                candidates = self._near(query, candidates)
            candidates = candidates[:want]
            record = RetrievalRecord(
                deployment=signed.fingerprint.hex(),
                envelope=body.envelope,
                query=body.query,
                entry=entry,
                messages=answer.messages,
                hops=answer.hops,
                found=tuple(
                    FoundProvider(
                        account=one.account,
                        digest=one.profile.record.digest.hex(),
                        likeness=round(one.likeness, 6),
                    )
                    for one in candidates
                ),
            )
            return candidates, record
        raise SearchFailed("no daemon answered the search: " + "; ".join(failures))

    def _checked(
        self, query: Signature, category: str, answer: SearchAnswer
    ) -> list[CheckedProvider]:
        found: dict[str, CheckedProvider] = {}
        for match in answer.matches:
            try:
                record = match.record()
                if not self._directory.verify(record):
                    continue
                one = Profile.of(record)
            except (RetrievalError, ValueError):
                continue
            position = _category_index(one, category)
            if category and position is None:
                continue
            candidate = self._candidate(query, record, one, position)
            found[candidate.account] = candidate
        return sorted(found.values(), key=lambda one: (-one.likeness, one.account))

    def _near(
        self, query: Signature, candidates: Sequence[CheckedProvider]
    ) -> list[CheckedProvider]:
        """Those whose daemons answer, nearest first by equation 1."""
        found = []
        for one in candidates:
            latency = self._round_trip(one.profile.details.endpoint)
            if latency is not None:
                far = logical_distance(query, one.profile.record.signature, latency)
                found.append(replace(one, distance=far))
        return sorted(found, key=lambda one: (one.distance, one.account))

    def _round_trip(self, endpoint: str) -> float | None:
        """Milliseconds; None where nobody answers."""
        taken = []
        for _ in range(PINGS if endpoint else 0):
            began = time.perf_counter()
            try:
                self._pings.get(endpoint + ABOUT_PATH, LONGEST_ABOUT)
            except RetrievalError:
                return None
            taken.append((time.perf_counter() - began) * 1000)
        return min(taken, default=None)

    def _candidate(
        self, query: Signature, record: Record, one: Profile, position: int | None
    ) -> CheckedProvider:
        from eth_utils.address import to_checksum_address

        account = to_checksum_address(record.node)
        registry = self._client.registry
        participant = registry.participant(account)
        number = next(
            index
            for index, attribute in enumerate(one.details.attributes)
            if attribute.name == name32(f"category {position or 0}")
        )
        attribute = one.details.attributes[number]
        proven, attested = registry.verify_attribute(
            account,
            record.digest,
            one.details.tree.root,
            one.details.tree.proof(number),
            attribute.name,
            attribute.value,
            attribute.salt,
        )
        likeness = weighted_jaccard(query, record.signature)
        return CheckedProvider(account, one, likeness, participant.reputation, proven, attested)


def ask(http: Strangers, entry: str, body: SearchBody) -> SearchAnswer:
    """One daemon's answer; raises SearchFailed with the reason if there is none."""
    asked = body.model_dump_json().encode()
    try:
        status, content = http.answer(
            "POST", entry + SEARCH_PATH, LONGEST_ANSWER, asked, "application/json"
        )
    except RetrievalError as error:
        raise SearchFailed(str(error)) from error
    if status != HTTPStatus.OK:
        raise SearchFailed(_refusal(status, content))
    try:
        return SearchAnswer.model_validate_json(content)
    except ValidationError as error:
        raise SearchFailed("the answer is malformed") from error


def texts_of(path: Path) -> list[str]:
    """The texts of a file or folder to search by: data as in docs/data.md, or one plain text.

    Raises DataError, InvalidInput for data that is not text.
    """
    from fedpact.data.documents import decoded
    from fedpact.data.readers import read_records
    from fedpact.data.readers.records import read_bytes

    if path.is_file() and path.suffix in (".txt", ".md", ""):
        return [decoded(read_bytes(path))]
    found = read_records(path)
    if found.kind != "text":
        raise InvalidInput(f"{path} contains numbers: --like needs texts")
    return [str(one) for one in np.asarray(found.x).tolist()]


def _refusal(status: int, content: bytes) -> str:
    try:
        found = Refusal.model_validate_json(content)
    except ValidationError:
        return f"status {status}"
    return f"refused ({found.reason}): {found.message}"


def _category_index(one: Profile, category: str) -> int | None:
    for position, named in enumerate(one.details.categories):
        if named == category or named.startswith(category.rstrip("/") + "/"):
            return position
    return None


def row(one: CheckedProvider) -> dict[str, Any]:
    """A candidate in plain JSON types."""
    details = one.profile.details
    distance = {} if one.distance is None else {"distance": round(one.distance, 4)}
    return {
        "account": one.account,
        "similarity": round(one.likeness, 4),
        **distance,
        "size": details.size,
        "reputation": one.reputation,
        "price_wei": int(details.price),
        "categories": list(details.categories),
        "type": details.type,
        "mode": details.mode.value,
        "digest": one.profile.record.digest.hex(),
        "on_chain": True,
        "category_proven": one.category_proven,
        "attested": one.attested,
    }
