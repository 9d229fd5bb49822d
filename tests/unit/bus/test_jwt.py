"""A decoded token was signed by its issuer, and a changed token is rejected."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.bus.auth import jwt
from quorate.bus.auth.jwt import JWT_LENGTH_MAX, JwtInvalid, Kind, NatsKey

SERVER = NatsKey.create("server")
NOTE = jwt.encode(SERVER, {"sub": "somebody", "nats": {"type": "test"}}).encode()


def test_signed_token_is_decoded() -> None:
    claims = jwt.decode(NOTE, signed_by="server")

    assert claims["sub"] == "somebody"
    assert claims["iss"] == SERVER.public
    assert claims["nats"] == {"type": "test"}


@pytest.mark.parametrize("kind", ["account", "user"])
def test_key_of_another_kind_is_rejected(kind: Kind) -> None:
    note = jwt.encode(NatsKey.create(kind), {}).encode()

    with pytest.raises(JwtInvalid, match="not the public key of a server"):
        jwt.decode(note, signed_by="server")


def test_token_of_another_signer_is_rejected() -> None:
    forged = jwt.encode(NatsKey.create("server"), {"iss": SERVER.public}).encode()

    with pytest.raises(JwtInvalid, match="not signed by its issuer"):
        jwt.decode(forged, signed_by="server")


def test_unsigned_token_is_rejected() -> None:
    _, body, _ = NOTE.split(b".")
    head = base64.urlsafe_b64encode(b'{"typ":"JWT","alg":"none"}').rstrip(b"=")

    with pytest.raises(JwtInvalid):
        jwt.decode(head + b"." + body + b".", signed_by="server")


@given(st.integers(0, len(NOTE) - 1), st.integers(1, 255))
def test_changed_byte_is_detected(index: int, change: int) -> None:
    changed = bytearray(NOTE)
    changed[index] ^= change

    try:
        claims = jwt.decode(bytes(changed), signed_by="server")
    except JwtInvalid:
        return
    # The last letters of a base64 text contain unused bits.
    assert claims == jwt.decode(NOTE, signed_by="server")


@given(st.binary(max_size=300) | st.builds(b".".join, st.lists(st.binary(), max_size=4)))
def test_garbage_raises_jwt_invalid_only(text: bytes) -> None:
    with pytest.raises(JwtInvalid):
        jwt.decode(text, signed_by="server")


def test_too_long_token_is_rejected_unparsed() -> None:
    with pytest.raises(JwtInvalid):
        jwt.decode(b"." * (JWT_LENGTH_MAX + 1), signed_by="server")


def test_seed_restores_its_key() -> None:
    assert NatsKey.of_seed(SERVER.seed).public == SERVER.public
