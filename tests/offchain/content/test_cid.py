from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpact.errors import InvalidInput
from fedpact.types.cid import CHUNK_BYTES, Cid, Codec

GOLDEN = [
    (0, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
    (1, "bafkreibff4imqnqq5pfbubm4boxievplul4vxzgr266pvcoxesfifwprce"),
    (262_143, "bafkreif67oh6d27albmvi53u43wxwjsqtgcm3mpb4wbvddtruspdwokwde"),
    (262_144, "bafkreiehu2v2nwepusoo2vde6tu3oh7odmpvlmyig3cbcsiujcdjhht45y"),
    (262_145, "bafybeiakacwkilbm4xhopai2tc7fu6dlcltp23ffr2vdphjrzxlheszaqq"),
    # 174 chunks fill the tree's first level; one more byte starts a second.
    (45_613_056, "bafybeifqlmcticp7ltomgmxusmsbjwc3ja5helzs5hacnkldi3eujtzlnq"),
    (45_613_057, "bafybeieg7sa2zlqhj5426q2mrmupqlsy7j5cuxtvxhe7vpwa73n2bmbpp4"),
]
"""Sizes of b"fedpact" repeated, and the CIDs that Helia 7.1.15 gave."""

digests = st.binary(min_size=32, max_size=32)


@pytest.mark.parametrize(("size", "expected"), GOLDEN)
def test_cids_are_those_of_an_ipfs_node(size: int, expected: str) -> None:
    cid = Cid.of((b"fedpact" * (size // 7 + 1))[:size])
    assert str(cid) == expected
    assert Cid.of_digest(cid.digest, size) == cid


@given(data=st.binary(max_size=1000))
def test_small_content_is_one_raw_block(data: bytes) -> None:
    assert Cid.of(data) == Cid(Codec.RAW, sha256(data).digest())


@given(codec=st.sampled_from(Codec), digest=digests)
def test_parsing_undoes_spelling(codec: Codec, digest: bytes) -> None:
    assert Cid.parse(str(Cid(codec, digest))) == Cid(codec, digest)


@given(digest=digests, size=st.integers(0, 2 * CHUNK_BYTES))
def test_the_size_decides_the_codec(digest: bytes, size: int) -> None:
    expected = Codec.RAW if size <= CHUNK_BYTES else Codec.DAG_PB
    assert Cid.of_digest(digest, size) == Cid(expected, digest)


@given(text=st.text(max_size=70))
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a CID"):
        Cid.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "QmRnVkZVMZfXqT17KVAXLy4Da1LgfRHTArz47UWjyKyNHT",
        GOLDEN[0][1].upper(),
        GOLDEN[0][1][:-1],
        GOLDEN[0][1][:-1] + "v",
        "z" + GOLDEN[0][1][1:],
        # dag-cbor, then sha3-256
        "bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
        "bafkrmihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    ],
)
def test_cids_of_other_forms_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a CID"):
        Cid.parse(text)


def test_a_digest_has_32_bytes() -> None:
    with pytest.raises(InvalidInput, match="32 bytes"):
        Cid(Codec.RAW, bytes(31))
