"""Index new messages for search, in the background of the process that leads.

* The writer runs a part between two batches of commands. A part has at most PART_WORDS_MAX words,
  so commands wait for it for a few milliseconds at most.
* A part is prepared outside the transaction, in slices: other work runs in between.
* A message is found about GATHER_SECONDS after it was sent, if the service is not busy.
"""

import asyncio
from collections.abc import Sequence

import structlog

from quorate.domain.mail.messages import MessageReceived, MessageSent
from quorate.domain.sessions.session_messages import SessionMessageAppended
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import Unavailable
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import (
    DatabaseTransaction,
    DatabaseUnavailable,
    StatementRejected,
)
from quorate.projections.search_index import (
    Document,
    SearchIndex,
    UnindexedMessage,
    count_words,
    make_document,
)
from quorate.runtime.waking import is_woken_within

PART_WORDS_MAX = 2_000  # Different ones of each message, or one message with more.
GATHER_SECONDS = 0.2
CHECK_SECONDS = 10.0  # A rebuild of the index by another process is noticed after this time.
_INDEXED_EVENTS = frozenset(
    one.__name__ for one in (MessageSent, MessageReceived, SessionMessageAppended)
)
_logger = structlog.get_logger(__name__)


class SearchIndexer:
    def __init__(self, command_bus: CommandBus, index: SearchIndex) -> None:
        self._command_bus = command_bus
        self._index = index
        self._woken = asyncio.Event()

    def wake(self, rows: Sequence[RecordedEvent]) -> None:
        """Be told of committed events."""
        if not self._woken.is_set() and any(row.type in _INDEXED_EVENTS for row in rows):
            self._woken.set()

    async def run(self) -> None:
        """Index until cancelled."""
        while True:
            self._woken.clear()
            try:
                while await self.index_some():
                    pass
            except (Unavailable, DatabaseUnavailable, StatementRejected) as error:
                _logger.warning("search_indexer.paused", reason=str(error))
            if await is_woken_within(self._woken, CHECK_SECONDS):
                await asyncio.sleep(GATHER_SECONDS)

    async def index_some(self) -> bool:
        """Index some messages; return whether there may be more."""
        found = await self._index.read_unindexed()
        await self.add(found)
        return bool(found)

    async def add(self, found: Sequence[UnindexedMessage]) -> None:
        """Add these messages to the index, except those that were erased or indexed meanwhile."""
        tenants = await self._index.tenants() if found else {}
        if new := [one.tenant for one in found if one.tenant not in tenants]:
            await self._command_bus.run_chore(
                lambda transaction: self._index.add_tenants(transaction, new)
            )
            tenants = await self._index.tenants()
        keys: list[tuple[str, str]] = []
        documents: list[Document] = []
        words = 0
        for one in found:
            document = None
            if one.message is not None:
                document = make_document(tenants[one.tenant], one)
                await asyncio.sleep(0)
            more = 0 if document is None else count_words(document)
            if keys and words + more > PART_WORDS_MAX:
                await self._add_part(keys, documents)
                keys, documents, words = [], [], 0
            keys.append((one.tenant, one.message_id))
            documents += [] if document is None else [document]
            words += more
        if keys:
            await self._add_part(keys, documents)

    async def _add_part(
        self, keys: Sequence[tuple[str, str]], documents: Sequence[Document]
    ) -> None:
        async def add(transaction: DatabaseTransaction) -> None:
            await self._index.add(transaction, keys, documents)

        await self._command_bus.run_chore(add)
