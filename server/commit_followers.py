"""The tasks of the leader that begin when certain events are committed."""

from collections.abc import Callable, Mapping, Sequence

from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.unit_of_work import NewId
from quorate.projections.history.folding import HistoryFolder
from quorate.projections.history.refill import Refill
from quorate.projections.search_index import SearchIndex
from quorate.projections.sessions.nested_tasks import NestedTasks
from quorate.projections.sessions.unerased_sessions import UnerasedSessions
from quorate.server.history_follower import HistoryFollower
from quorate.server.leader_election import Task
from quorate.server.nested_tasks import NestedTaskCancellation
from quorate.server.search_indexer import SearchIndexer
from quorate.server.session_erasure import SessionErasure


class CommitFollowers:
    def __init__(
        self,
        indexer: SearchIndexer,
        erasure: SessionErasure,
        nested: NestedTaskCancellation,
        history: HistoryFollower,
    ) -> None:
        self._indexer = indexer
        self._history = history
        self._erasure = erasure
        self._nested = nested

    def wake(self, rows: Sequence[RecordedEvent]) -> None:
        """Be told of committed events."""
        self._indexer.wake(rows)
        self._erasure.wake(rows)
        self._nested.wake(rows)
        self._history.wake(rows)

    def history_lag(self, head: int) -> int | None:
        """Return how many events up to ``head`` the history lacks; None in other processes."""
        return self._history.lag(head)

    @property
    def tasks(self) -> Mapping[str, Task]:
        return {
            "search_indexer": self._indexer.run,
            "session_erasure": self._erasure.run,
            "nested_task_cancellation": self._nested.run,
            "history_follower": self._history.run,
        }


def create_commit_followers(
    log: EventStore, command_bus: CommandBus, clock: Callable[[], Timestamp], new_id: NewId
) -> CommitFollowers:
    return CommitFollowers(
        SearchIndexer(command_bus, SearchIndex(log)),
        SessionErasure(command_bus, UnerasedSessions(log), clock, new_id),
        NestedTaskCancellation(command_bus, NestedTasks(log), clock, new_id),
        HistoryFollower(command_bus, HistoryFolder(log.database), Refill(log.database)),
    )
