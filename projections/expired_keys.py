"""Find the keys whose expiry has passed, for the process that closes their connections."""

from collections.abc import Callable, Sequence

from sqlalchemy import BindParameter, and_, bindparam, or_, select

from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.tables import keys

EXPIRED_PER_QUERY_MAX = 1_000
# An expiry may be recorded shortly after its time, so the last seconds are read again.
READ_AGAIN_SECONDS = 10


class ExpiredKeys:
    def __init__(self, log: EventStore, clock: Callable[[], Timestamp]) -> None:
        self._log = log
        self._clock = clock
        self._until: Timestamp | None = None  # Of the last call.
        self._found: frozenset[str] = frozenset()  # By the last call.
        since: BindParameter[int] = bindparam("since")
        after: BindParameter[str] = bindparam("after")
        at, id_ = keys.c.expires_at, keys.c.id
        is_next = or_(at > since, and_(at == since, id_ > after))
        found = select(id_, at).where(
            *(keys.c.revoked_at.is_(None), at.is_not(None)),
            *(at >= since, at <= bindparam("until"), is_next),
        )
        page = found.order_by(at, id_).limit(EXPIRED_PER_QUERY_MAX)
        self._page = Query(page, log.database.dialect)

    async def find_next(self) -> Sequence[str]:
        """Return the ids of the keys that have expired since the last call, each once."""
        until = self._clock()
        last = until if self._until is None else self._until
        since, after = last - READ_AGAIN_SECONDS * MILLISECONDS_PER_SECOND, ""
        found: dict[str, None] = {}
        while True:
            values = {"since": since, "after": after, "until": until}
            async with self._log.read() as transaction:
                rows = await transaction.fetch(self._page, values)
            found.update((row.id, None) for row in rows)
            if len(rows) < EXPIRED_PER_QUERY_MAX:
                break
            since, after = rows[-1].expires_at, rows[-1].id
        new = [key_id for key_id in found if key_id not in self._found]
        self._found, self._until = frozenset(found), until
        return new
