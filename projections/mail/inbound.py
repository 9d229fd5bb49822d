"""Find the messages that one from outside refers to, by their Message-IDs there."""

from collections.abc import Mapping, Sequence

import orjson
from sqlalchemy import select

from quorate.eventlog.event_store import EventStore
from quorate.projections.mail.messages import TABLE
from quorate.projections.repository import matching


class ReceivedIds:
    def __init__(self, log: EventStore) -> None:
        self._log = log
        key = (TABLE.c.tenant, TABLE.c.rfc_message_id)
        found = select(TABLE.c.id, TABLE.c.rfc_message_id)
        self._query = matching(log.database, TABLE, found, key)

    async def find(self, tenant: str, rfc_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the ids of the received messages with these Message-IDs."""
        if not rfc_ids:
            return {}
        asked = orjson.dumps([(tenant, one) for one in rfc_ids]).decode()
        async with self._log.read() as transaction:
            rows = await transaction.fetch(self._query, {"asked": asked})
        return {row.rfc_message_id: row.id for row in rows}
