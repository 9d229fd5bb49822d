"""What a request creates at random, so the domain gets it as values: ids and salted contents."""

import secrets

from quorate.domain.shared.contents import SALT_BYTES, Content


def prefixed_id(prefix: str, new_id: str) -> str:
    """Return a UUID in the form of an id: ``msg_`` and 32 hexadecimal digits."""
    return prefix + new_id.replace("-", "")


def salted(id_: str, part: str, data: bytes, *, is_searched: bool = True) -> Content:
    """Return a content with a random salt; only messages have to be found by searches."""
    salt = secrets.token_bytes(SALT_BYTES)
    return Content(id=id_, part=part, salt=salt, data=data, is_searched=is_searched)
