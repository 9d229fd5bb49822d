"""The text of an API key: ``qk_<key id>_<secret><checksum>``.

* The secret is 256 random bits and is shown once; its SHA-256 is stored.
* The checksum tells a mistyped key from a rejected one without a lookup.
"""

import hashlib
import hmac
import re
import zlib

SECRET_BITS = 256
KEY_ID_LENGTH = 16
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH = 43  # 62**43 is the first power of 62 past 2**256.
_CHECKSUM_LENGTH = 6
_KEY_TEXT = re.compile(
    rf"qk_([a-z0-9]{{{KEY_ID_LENGTH}}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})"
    rf"([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)
KEY_TEXT_LENGTH_MAX = len("qk_") + KEY_ID_LENGTH + 1 + _SECRET_LENGTH + _CHECKSUM_LENGTH


def key_text(key_id: str, random: bytes) -> str:
    """Write the key that is shown once; ``random`` are 32 bytes from the system's generator."""
    secret = _base62(int.from_bytes(random), _SECRET_LENGTH)
    return f"qk_{key_id}_{secret}{_checksum(key_id, secret)}"


def read_key(text: str) -> tuple[str, str] | None:
    """Return the key's id and its secret, or None if the text is not a valid key."""
    if len(text) != KEY_TEXT_LENGTH_MAX or not (found := _KEY_TEXT.fullmatch(text)):
        return None
    key_id, secret, checksum = found.groups()
    if not hmac.compare_digest(checksum, _checksum(key_id, secret)):
        return None
    return key_id, secret


def secret_hash(secret: str) -> str:
    """Return the stored form of a secret: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(key_id: str, secret: str) -> str:
    return _base62(zlib.crc32(f"{key_id}_{secret}".encode()), _CHECKSUM_LENGTH)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
