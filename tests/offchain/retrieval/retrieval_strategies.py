"""Hypothesis strategies of signatures, records and messages."""

from itertools import pairwise

from hypothesis import strategies as st

from fedpact.retrieval.messages import (
    Acknowledged,
    Announce,
    Contact,
    Flood,
    Lookup,
    LookupReply,
    MemberList,
    Members,
    Ping,
    Prefix,
    Record,
)
from fedpact.retrieval.signature import ENTRIES, MASS, WIDTH, Signature


@st.composite
def signatures(draw: st.DrawFn) -> Signature:
    buckets = draw(st.sets(st.integers(0, WIDTH - 1), min_size=1, max_size=ENTRIES))
    cuts = draw(st.sets(st.integers(1, MASS - 1), min_size=len(buckets) - 1, max_size=ENTRIES - 1))
    marks = [0, *sorted(cuts)[: len(buckets) - 1], MASS]
    weights = [b - a for a, b in pairwise(marks)]
    return Signature(tuple(sorted(buckets)), tuple(weights))


nodes = st.binary(min_size=20, max_size=20)
ids = st.integers(0, (1 << 64) - 1)
prefixes = st.builds(
    lambda bits, length: Prefix(bits >> (64 - length) << (64 - length), length),
    ids,
    st.integers(0, 64),
)
records = st.builds(Record, nodes, signatures(), st.binary(max_size=60))
contacts = st.builds(Contact, nodes, ids, st.text(max_size=30), st.integers(0, 64))
few_records = st.lists(records, max_size=3).map(tuple)
few_contacts = st.lists(contacts, max_size=3).map(tuple)
envelopes = st.binary(max_size=99)
messages = st.one_of(
    st.builds(Lookup, signatures(), st.integers(0, 64), envelopes),
    st.builds(LookupReply, records, prefixes, st.integers(0, 9), few_records, few_contacts),
    st.builds(Flood, signatures(), ids, ids, st.booleans(), envelopes),
    st.builds(Members, ids, st.one_of(st.just(b""), nodes)),
    st.builds(MemberList, records, prefixes, st.integers(0, 9), few_records, few_contacts),
    st.builds(Announce, records),
    st.builds(Acknowledged, records, st.booleans()),
    st.just(Ping()),
)
