"""Where the next page of a list is, in a Link header (RFC 8288)."""

from collections.abc import Sequence
from urllib.parse import urlencode

from quorate.contracts.requests import PageQuery


def next_link(path: str, query: PageQuery, ids: Sequence[str]) -> tuple[tuple[bytes, bytes], ...]:
    """A ``rel="next"`` link after a full page; a short page is the last."""
    if len(ids) < query.limit:
        return ()
    kept = query.model_dump(by_alias=True, exclude_none=True) | {"after": ids[-1]}
    return ((b"link", f'<{path}?{urlencode(kept)}>; rel="next"'.encode("ascii")),)
