from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given
from hypothesis import strategies as st

from fedpact.content.envelope import OVERHEAD_BYTES, Aad, open_model, seal_model
from fedpact.errors import DecryptionError, InvalidInput

KEY = bytes(range(32))
AAD = Aad(bytes([7]) * 32, 5, 2, "model", "0x52908400098527886E0F7030069857D2E4169EE7")
PLAIN = b"weights" * 40

keys = st.binary(min_size=32, max_size=32)
aads = st.builds(
    Aad,
    keys,
    st.integers(0, 2**256 - 1),
    st.integers(0, 2**64 - 1),
    st.text("abc-", min_size=1, max_size=8),
    st.text("0x12ab", max_size=8),
)


def test_the_cipher_is_that_of_rfc_5297() -> None:
    # Appendix A.1, deterministic authenticated encryption.
    key = bytes.fromhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    associated = bytes.fromhex("101112131415161718191a1b1c1d1e1f2021222324252627")
    plain = bytes.fromhex("112233445566778899aabbccddee")
    expected = "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"
    assert AESSIV(key).encrypt(plain, [associated]).hex() == expected


def test_an_envelope_never_changes_its_form() -> None:
    """Members of one request may run different versions: they must agree byte for byte."""
    assert (
        seal_model(KEY, PLAIN, AAD)[:24].hex() == "b0dfb62f39f2eeb5cefc9619b624924e28f65fb417b84b60"
    )


@given(key=keys, plain=st.binary(min_size=1, max_size=500), aad=aads)
def test_opening_undoes_sealing(key: bytes, plain: bytes, aad: Aad) -> None:
    sealed = seal_model(key, plain, aad)
    assert len(sealed) == len(plain) + OVERHEAD_BYTES
    assert seal_model(key, plain, aad) == sealed
    assert open_model(key, sealed, aad) == plain


@given(bit=st.integers(0, (len(PLAIN) + OVERHEAD_BYTES) * 8 - 1))
def test_any_flipped_bit_is_noticed(bit: int) -> None:
    sealed = bytearray(seal_model(KEY, PLAIN, AAD))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DecryptionError):
        open_model(KEY, bytes(sealed), AAD)


@pytest.mark.parametrize(
    "other",
    [
        replace(AAD, deployment_fingerprint=bytes(32)),
        replace(AAD, request_id=6),
        replace(AAD, round=3),
        replace(AAD, kind="global"),
        replace(AAD, owner="0x" + "1" * 40),
        replace(AAD, owner=""),
    ],
)
def test_an_envelope_opens_only_in_its_own_context(other: Aad) -> None:
    sealed = seal_model(KEY, PLAIN, AAD)
    assert seal_model(KEY, PLAIN, other) != sealed
    with pytest.raises(DecryptionError, match="round"):
        open_model(KEY, sealed, other)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(DecryptionError):
        open_model(bytes(32), seal_model(KEY, PLAIN, AAD), AAD)


@pytest.mark.parametrize("length", [0, 15, 16])
def test_an_envelope_cut_short_is_refused(length: int) -> None:
    with pytest.raises(DecryptionError, match="too short"):
        open_model(KEY, seal_model(KEY, PLAIN, AAD)[:length], AAD)


def test_the_letters_of_an_address_may_be_of_any_case() -> None:
    lower = replace(AAD, owner=AAD.owner.lower())
    assert seal_model(KEY, PLAIN, lower) == seal_model(KEY, PLAIN, AAD)


@given(one=aads, other=aads)
def test_different_round_references_are_encoded_differently(one: Aad, other: Aad) -> None:
    assert (one == other) == (one.encode() == other.encode())


@pytest.mark.parametrize(
    "change",
    [
        {"deployment_fingerprint": bytes(31)},
        {"request_id": -1},
        {"request_id": 2**256},
        {"round": 2**64},
        {"kind": ""},
        {"owner": "x" * 70_000},
    ],
)
def test_fields_out_of_range_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        replace(AAD, **change)  # type: ignore[arg-type]


def test_unusable_arguments_are_refused() -> None:
    with pytest.raises(InvalidInput, match="32 bytes"):
        seal_model(bytes(16), PLAIN, AAD)
    with pytest.raises(InvalidInput, match="empty"):
        seal_model(KEY, b"", AAD)
    with pytest.raises(DecryptionError, match="32 bytes"):
        open_model(bytes(16), seal_model(KEY, PLAIN, AAD), AAD)
