"""One request read from chain and content store alone, for views that an index serves elsewhere."""

from __future__ import annotations

from dataclasses import replace

from fedpact.chain.bindings.events import RequestEvent, RoundPosted, Started
from fedpact.chain.client import ChainClient
from fedpact.chain.signed_messages import LargeRecord, RoundRecord
from fedpact.content.store import ContentStore
from fedpact.dashboard.index.reading import DescribedRequest, specification_cid
from fedpact.dashboard.index.transactions import SentReader, block_times
from fedpact.dashboard.story import ClosedPool, Records, RequestStory
from fedpact.dashboard.views.request import Sources
from fedpact.errors import ContentError, Retryable, SpecificationError
from fedpact.requester.request_view import RequestLook, look
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification


def sources_of(client: ChainClient, store: ContentStore, request_id: int) -> Sources:
    """As of the latest block, with all transactions. Raises UnknownRequest, NodeUnreachable."""
    found = Looking(client, store).at(look(client, request_id))
    hashes = sorted({one.at.tx_hash for one in found.story.events})
    sent = {one.hash: one for one in SentReader(client).read(hashes)}
    return replace(found, transactions=sent)


class Looking:
    """Reads what a look at a request does not tell, each thing once."""

    def __init__(self, client: ChainClient, store: ContentStore) -> None:
        self._client, self._store = client, store
        self._times: dict[int, int] = {}
        self._records: dict[tuple[str, bytes], RoundRecord | LargeRecord] = {}
        self._pool: tuple[bytes, ClosedPool] | None = None
        self._described: DescribedRequest | None = None

    def at(self, seen: RequestLook) -> Sources:
        """Of one request, without its transactions. Raises NodeUnreachable."""
        events = self._dated(seen.all_events())
        story = RequestStory(events, self._recorded(events), self._pool_of(seen))
        large = self._client.deployment.is_large
        return Sources(story, self._specified(story), seen.facts, seen.now, large=large)

    def _dated(self, events: list[RequestEvent]) -> tuple[RequestEvent, ...]:
        """With the time of each block, also where the node's log entries do not name it."""
        missing = {one.at.block for one in events if one.at.timestamp is None} - set(self._times)
        self._times.update(block_times(self._client, missing))
        return tuple(
            one
            if one.at.timestamp is not None
            else replace(one, at=replace(one.at, timestamp=self._times[one.at.block]))
            for one in events
        )

    def _recorded(self, events: tuple[RequestEvent, ...]) -> Records:
        for one in events:
            at = one.at.tx_hash, getattr(one, "record", b"")
            if isinstance(one, RoundPosted) and at not in self._records:
                record = self._client.any_rounds.posted_record(*at)
                if record is not None:
                    self._records[at] = record
        return dict(self._records)

    def _pool_of(self, seen: RequestLook) -> ClosedPool | None:
        """Of the last start: one that was void let members leave."""
        started = seen.events(Started)
        if not started:
            return None
        named = started[-1].at.tx_hash.encode()
        if self._pool is None or self._pool[0] != named:
            pool, request = seen.client.pool, seen.request_id
            found = ClosedPool(tuple(pool.members(request)), tuple(pool.left(request)))
            self._pool = named, found
        return self._pool[1]

    def _specified(self, story: RequestStory) -> DescribedRequest:
        if self._described is None or self._described.spec is None:
            cid = specification_cid(story.created)
            try:
                body = self._store.get(cid, SPECIFICATION_MAX_BYTES)
                self._described = DescribedRequest(str(cid), Specification.decode(body), "")
            except (ContentError, SpecificationError, Retryable) as error:
                self._described = DescribedRequest(str(cid), None, str(error))
        return self._described
