"""Link to the next page of a list, in a Link header (RFC 8288)."""

from collections.abc import Sequence
from urllib.parse import urlencode

from quorate.contracts.wire_models import PageQuery


def next_link(path: str, query: PageQuery, ids: Sequence[str]) -> tuple[tuple[bytes, bytes], ...]:
    """Return a ``rel="next"`` header after a full page; a shorter page is the last."""
    if len(ids) < query.limit:
        return ()
    kept = query.model_dump(by_alias=True, exclude_none=True) | {"after": ids[-1]}
    return ((b"link", f'<{path}?{urlencode(kept)}>; rel="next"'.encode("ascii")),)
