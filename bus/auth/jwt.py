"""NATS keys, and JWTs signed with them (``ed25519-nkey``).

A token that ``decode`` returns was signed by the key in its ``iss`` claim, and that key has the
expected kind. Every other input raises ``JwtInvalid``. The caller decides whether it trusts the
key.
"""

import base64
import binascii
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import nkeys
import orjson
from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

Kind: TypeAlias = Literal["account", "user", "server"]
_PREFIX: dict[Kind, int] = {
    "account": nkeys.PREFIX_BYTE_ACCOUNT,
    "user": nkeys.PREFIX_BYTE_USER,
    "server": nkeys.PREFIX_BYTE_SERVER,
}
_ALGORITHM = "ed25519-nkey"
_HEAD = orjson.dumps({"typ": "JWT", "alg": _ALGORITHM})
_PARTS = 3
_CRC_BYTES = 2
SEED_BYTES = 32
JWT_LENGTH_MAX = 65_536


class JwtInvalid(ValueError):
    """Not a JWT, not signed by its issuer, or the issuer is a key of another kind."""


@dataclass(frozen=True)
class NatsKey:
    """A key pair; its seed is secret and is not part of ``repr``."""

    public: str
    _pair: Any

    @classmethod
    def create(cls, kind: Kind) -> "NatsKey":
        return cls.of_seed(bytes(nkeys.encode_seed(os.urandom(SEED_BYTES), _PREFIX[kind])).decode())

    @classmethod
    def of_seed(cls, seed: str) -> "NatsKey":
        pair = nkeys.from_seed(bytearray(seed.encode()))
        return cls(bytes(pair.public_key).decode(), pair)

    @property
    def seed(self) -> str:
        return bytes(self._pair.seed).decode()

    def sign(self, text: bytes) -> bytes:
        return bytes(self._pair.sign(text))

    def __repr__(self) -> str:
        return f"NatsKey({self.public})"


def encode(issuer: NatsKey, claims: Mapping[str, Any]) -> str:
    payload = {"iss": issuer.public, "iat": int(time.time()), **claims}
    digest = hashlib.sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)).digest()
    payload["jti"] = base64.b32encode(digest).decode().rstrip("=")
    signed = _base64(_HEAD) + b"." + _base64(orjson.dumps(payload))
    return (signed + b"." + _base64(issuer.sign(signed))).decode()


def decode(text: bytes, *, signed_by: Kind) -> dict[str, Any]:
    """Return the claims of a JWT that its issuer signed; raises JwtInvalid."""
    parts = text.split(b".") if len(text) <= JWT_LENGTH_MAX else []
    if len(parts) != _PARTS:
        raise JwtInvalid("not a JWT")
    try:
        return _verify(parts, signed_by)
    except JwtInvalid:
        raise
    except CryptoError as error:
        raise JwtInvalid("not signed by its issuer") from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise JwtInvalid("not a JWT") from error


def _verify(parts: Sequence[bytes], signed_by: Kind) -> dict[str, Any]:
    head, body, signature = parts
    claims: dict[str, Any] = orjson.loads(_unbase64(body))
    if orjson.loads(_unbase64(head))["alg"] != _ALGORITHM:
        raise JwtInvalid("signed with an unknown algorithm")
    public = VerifyKey(_raw_public(claims["iss"], signed_by))
    public.verify(head + b"." + body, _unbase64(signature))
    return claims


def _raw_public(key: str, kind: Kind) -> bytes:
    raw = base64.b32decode(key + "=" * (-len(key) % 8))
    named, checksum = raw[:-_CRC_BYTES], int.from_bytes(raw[-_CRC_BYTES:], "little")
    if not named or binascii.crc_hqx(named, 0) != checksum or named[0] != _PREFIX[kind]:
        raise JwtInvalid(f"not the public key of a {kind}")
    return named[1:]


def _base64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _unbase64(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
