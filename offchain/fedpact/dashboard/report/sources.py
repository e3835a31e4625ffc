"""One request read from chain and content store alone, for views that an index serves elsewhere."""

from __future__ import annotations

from dataclasses import replace

from fedpact.chain.bindings.v2.events import RequestEvent, RoundPosted, Started
from fedpact.chain.client import ClientV2
from fedpact.chain.signed_messages import RoundRecord
from fedpact.content.store import ContentStore
from fedpact.dashboard.index.reading import Described, specification_cid
from fedpact.dashboard.index.sent import SentReader, block_times
from fedpact.dashboard.story import Pool, Story
from fedpact.dashboard.views.request import Sources
from fedpact.errors import ContentError, Retryable, SpecificationError
from fedpact.requester.v2.look import RequestLook, look
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification


def sources_of(client: ClientV2, store: ContentStore, request_id: int) -> Sources:
    """As of the latest block. Raises UnknownRequest, NodeUnreachable."""
    seen = look(client, request_id)
    events = _dated(client, seen.all_events())
    story = Story(events, _records(client, events), _pool(seen))
    hashes = sorted({one.at.tx_hash for one in events})
    sent = {one.hash: one for one in SentReader(client).read(hashes)}
    return Sources(story, _described(store, story), seen.facts, seen.now, sent)


def _dated(client: ClientV2, events: list[RequestEvent]) -> tuple[RequestEvent, ...]:
    """With the time of each block, also where the node's log entries do not name it."""
    times = block_times(client, (one.at.block for one in events if one.at.timestamp is None))
    return tuple(
        replace(one, at=replace(one.at, timestamp=times.get(one.at.block, one.at.timestamp)))
        for one in events
    )


def _records(
    client: ClientV2, events: tuple[RequestEvent, ...]
) -> dict[tuple[str, bytes], RoundRecord]:
    found = {}
    for one in events:
        if isinstance(one, RoundPosted):
            record = client.rounds.posted_record(one.at.tx_hash, one.record)
            if record is not None:
                found[one.at.tx_hash, one.record] = record
    return found


def _pool(seen: RequestLook) -> Pool | None:
    if not seen.events(Started):
        return None
    pool, request = seen.client.pool, seen.request_id
    return Pool(tuple(pool.members(request)), tuple(pool.left(request)))


def _described(store: ContentStore, story: Story) -> Described:
    cid = specification_cid(story.created)
    try:
        body = store.get(cid, SPECIFICATION_MAX_BYTES)
        return Described(str(cid), Specification.decode(body), "")
    except (ContentError, SpecificationError, Retryable) as error:
        return Described(str(cid), None, str(error))
