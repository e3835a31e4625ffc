import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PrivateKey, SealedBox

from fedpact.content.keys import (
    MANIFEST_MAX_BYTES,
    SEALED_KEY_BYTES,
    Manifest,
    delivery_key,
    key_hash,
    round_key,
    seal,
    unseal,
)
from fedpact.errors import ContentError, ContentTooLarge, DecryptionError, InvalidInput

KEY = bytes(range(32))
ENTROPY = bytes(range(32, 64))
DEPLOYMENT = bytes([9]) * 32
ALICE = "0x52908400098527886E0F7030069857D2E4169EE7"
BOB = "0x8617E340B3D01FA5F11F306F4090FD50E238070D"


def manifest(seals: Mapping[str, bytes]) -> Manifest:
    return Manifest(DEPLOYMENT, 3, "request-key", 0, seals)


def document(**changes: object) -> bytes:
    whole = json.loads(manifest({ALICE: bytes(80)}).encode()) | changes
    return json.dumps(whole).encode()


def test_derived_keys_never_change_their_form() -> None:
    assert (
        round_key(KEY, DEPLOYMENT, 3, 1).hex()
        == "bb5b53eb772fb3029ff888e614376fd6f188aadfbbe827d5395c94bd9749f291"
    )
    assert (
        delivery_key(KEY, DEPLOYMENT, 3, 1).hex()
        == "6a1a6453e5bc9ff9b600d99b5c9a16e9d7066d93a2c0deab0d889c89605df8b7"
    )


def test_every_purpose_round_reference_and_secret_has_its_own_key() -> None:
    references = [(DEPLOYMENT, 3, 1), (DEPLOYMENT, 3, 2), (DEPLOYMENT, 4, 1), (bytes(32), 3, 1)]
    derived = [
        derive(secret, *reference)
        for derive in (round_key, delivery_key)
        for secret in (KEY, bytes(32))
        for reference in references
    ]
    assert len({KEY, *derived}) == len(derived) + 1
    assert {len(key) for key in derived} == {32}


def test_the_key_hash_is_keccak_256() -> None:
    # keccak256 of 32 zero bytes, as Solidity computes it.
    expected = "290decd9548b62a8d60345a988386fc84ba6bc95484008f6362f93160ef3e563"
    assert key_hash(bytes(32)).hex() == expected


@given(secret=st.binary(min_size=32, max_size=32))
def test_only_the_addressee_opens_a_seal(secret: bytes) -> None:
    mine, other = PrivateKey.generate(), PrivateKey.generate()
    sealed = seal(bytes(mine.public_key), secret, ENTROPY)
    assert len(sealed) == SEALED_KEY_BYTES
    assert unseal(mine, sealed) == secret
    with pytest.raises(DecryptionError):
        unseal(other, sealed)


@pytest.mark.parametrize("sealed", [b"", bytes(47), bytes(80)])
def test_an_invalid_seal_does_not_open(sealed: bytes) -> None:
    with pytest.raises(DecryptionError):
        unseal(PrivateKey.generate(), sealed)


@pytest.mark.parametrize("public_key", [b"", bytes(31), bytes(32), bytes([1] + 31 * [0])])
def test_keys_that_protect_nothing_are_not_sealed_to(public_key: bytes) -> None:
    with pytest.raises(InvalidInput, match="X25519"):
        seal(public_key, KEY, ENTROPY)


def test_each_reader_opens_a_manifest_and_strangers_do_not() -> None:
    alice, bob = PrivateKey.generate(), PrivateKey.generate()
    seals = {
        ALICE: seal(bytes(alice.public_key), KEY, ENTROPY),
        BOB: seal(bytes(bob.public_key), KEY, ENTROPY),
    }
    read = Manifest.decode(manifest(seals).encode())
    assert read.open(ALICE, alice) == KEY
    assert read.open(BOB.lower(), bob) == KEY
    with pytest.raises(DecryptionError):
        read.open(ALICE, bob)
    with pytest.raises(DecryptionError, match="no seal for"):
        read.open("0x" + "0" * 40, alice)


def test_equal_manifests_are_equal_bytes_in_any_order() -> None:
    one = manifest({ALICE: bytes(80), BOB: bytes([1]) * 80})
    other = manifest({BOB.lower(): bytes([1]) * 80, ALICE.lower(): bytes(80)})
    assert one == other == Manifest.decode(one.encode())
    assert one.encode() == other.encode()


def test_a_manifest_says_what_it_concerns() -> None:
    read = Manifest.decode(Manifest(DEPLOYMENT, 2**200, "slice-key", 4, {}).encode())
    assert (read.deployment, read.request_id, read.kind, read.round) == (
        DEPLOYMENT,
        2**200,
        "slice-key",
        4,
    )


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"version": 2}, "version"),
        ({"kind": "other"}, "kind"),
        ({"round": -1}, "round"),
        ({"round": 2**64}, "round"),
        ({"request": "3"}, "request"),
        ({"deployment": "00"}, "deployment"),
        ({"seals": {ALICE: "00"}}, "seals"),
        ({"seals": {"alice": "00" * 80}}, "not an address"),
        ({"seals": {ALICE: "00" * 80, ALICE.lower(): "00" * 80}}, "twice"),
        ({"extra": 1}, "extra"),
    ],
)
def test_an_invalid_manifest_is_refused_by_the_name_of_its_field(
    changes: dict[str, object], where: str
) -> None:
    with pytest.raises(ContentError, match=where):
        Manifest.decode(document(**changes))


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"version": 1'])
def test_bytes_that_are_not_a_manifest_are_refused(data: bytes) -> None:
    with pytest.raises(ContentError, match="manifest"):
        Manifest.decode(data)


def test_a_manifest_larger_than_a_block_is_refused() -> None:
    with pytest.raises(ContentTooLarge):
        Manifest.decode(b" " * (MANIFEST_MAX_BYTES + 1))
    crowd = {f"0x{number:040x}": bytes(80) for number in range(2000)}
    with pytest.raises(ContentTooLarge):
        manifest(crowd).encode()


def test_the_same_seal_is_the_same_bytes_and_any_other_has_another_ephemeral_key() -> None:
    """What is sealed goes on chain: made again it must be the same call, and a key that two
    different seals shared would undo both."""
    mine, other = PrivateKey.generate(), PrivateKey.generate()
    sealed = seal(bytes(mine.public_key), KEY, ENTROPY)
    assert sealed == seal(bytes(mine.public_key), KEY, ENTROPY)
    assert SealedBox(mine).decrypt(sealed) == KEY
    others = [
        seal(bytes(mine.public_key), bytes(32), ENTROPY),
        seal(bytes(other.public_key), KEY, ENTROPY),
        seal(bytes(mine.public_key), KEY, bytes(32)),
    ]
    assert len({one[:32] for one in [sealed, *others]}) == 4
