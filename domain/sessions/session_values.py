"""The values of a session: a small store by namespace and key, for its owner only.

* A value is a content: events hold its size and a salted hash. A value that replaces another one
  erases it.
* A session has at most VALUES_PER_SESSION_MAX values.
"""

import re
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias, get_args

from quorate.domain.sessions.sessions import SESSIONS, Session
from quorate.domain.shared.aggregates import Aggregate, Counter, Effect
from quorate.domain.shared.contents import ContentRef
from quorate.domain.shared.errors import Invalid
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.timestamps import Timestamp

VALUE_BYTES_MAX = 64 * 1_024
VALUES_PER_SESSION_MAX = 256
NAMESPACE_LENGTH_MAX, VALUE_KEY_LENGTH_MAX = 64, 128
VALUE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
VALUE_PART = "json"
VALUE_ID = "sval_"
# A read of the values of a namespace: its keys are the id of a session, and the namespace.
VALUES_IN_NAMESPACE = "session_value.namespace"

# -- Events ------------------------------------------------------------------


@record
class SessionValueSet:
    value_id: str
    session_id: str
    namespace: str
    name: str
    contents: tuple[ContentRef, ...]


@record
class SessionValueErased:
    value_id: str
    session_id: str


Event: TypeAlias = SessionValueSet | SessionValueErased


# -- State -------------------------------------------------------------------


@record
class SessionValue:
    id: str
    session_id: str
    namespace: str
    name: str
    bytes: int
    updated_at: Timestamp


@dataclass(eq=False)
class SessionValueTooLarge(Invalid):
    code, title = "session_value_too_large", "The value is too large"
    bytes_max: int


# A value that was erased: it has no row.
ERASED_VALUE = SessionValue(
    id="", session_id="", namespace="", name="", bytes=0, updated_at=Timestamp(0)
)


def evolve(_state: SessionValue | None, event: Event, at: Timestamp) -> SessionValue:
    if isinstance(event, SessionValueErased):
        return ERASED_VALUE
    return SessionValue(
        id=event.value_id,
        session_id=event.session_id,
        namespace=event.namespace,
        name=event.name,
        bytes=sum([ref.bytes for ref in event.contents]),
        updated_at=at,
    )


def _counted(event: type[Event], more: int) -> Effect[Session]:
    def after(state: Session | None, _event: object, _at: Timestamp) -> Session:
        assert state is not None
        return changed(state, value_count=state.value_count + more)

    return Effect(event=event, aggregate=SESSIONS, id_of=attrgetter("session_id"), evolve=after)


SESSION_VALUES: Aggregate[SessionValue] = Aggregate(
    name="session_value",
    events=get_args(Event),
    stream=lambda event: f"session_value-{event.value_id}",
    id_of=attrgetter("value_id"),
    evolve=evolve,
    effects=(_counted(SessionValueSet, 1), _counted(SessionValueErased, -1)),
    counters={"session_bytes": Counter(amount=attrgetter("bytes"))},
    is_final=lambda value: value is ERASED_VALUE,
    erases={SessionValueErased: attrgetter("value_id")},
)
