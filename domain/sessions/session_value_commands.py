"""Set, delete and clear the values of one's own session."""

from collections.abc import Sequence
from typing import Any

from quorate.domain.identity.agents import AGENTS, AgentRef, acting, reads_of_agent
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.session_commands import own_session
from quorate.domain.sessions.session_errors import TooManySessionValues
from quorate.domain.sessions.session_values import (
    SESSION_VALUES,
    VALUES_IN_NAMESPACE,
    VALUES_PER_SESSION_MAX,
    SessionValue,
    SessionValueErased,
    SessionValueSet,
)
from quorate.domain.sessions.sessions import SESSIONS, Session
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.contents import Content
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState


@record
class _OfSession:
    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    session_id: str
    namespace: str

    def reads(self) -> Reads:
        return (
            *reads_of_agent(self.caller, self.agent, AGENTS.name),
            *self.restrictions.reads(),
            *SESSIONS.by("id", self.session_id),
            (VALUES_IN_NAMESPACE, self.session_id, self.namespace),
            quotas.COUNTS,
        )

    def _session(self, state: TenantState) -> Session:
        agent = acting(self.caller, self.agent, state)
        session = own_session(state, self.session_id, agent.id)
        self.restrictions.access(state, agent.id).check_visible(session.key, session.owner_id)
        return session

    def _values(self, state: TenantState) -> list[SessionValue]:
        place = (self.session_id, self.namespace)
        return [
            one
            for one in state[SESSION_VALUES].values()
            if (one.session_id, one.namespace) == place
        ]


@record
class SetSessionValue(_OfSession):
    """``body`` is the value as JSON, under the new id of the value."""

    name: str
    body: Content

    def contents(self) -> Sequence[Content]:
        return (self.body,)

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Any]:
        session = self._session(state)
        replaced = [one for one in self._values(state) if one.name == self.name]
        if not replaced and session.value_count >= VALUES_PER_SESSION_MAX:
            raise TooManySessionValues(VALUES_PER_SESSION_MAX)
        more = len(self.body.data) - sum([one.bytes for one in replaced])
        quotas.check("session_bytes", state.count("session_bytes"), context.quotas, more=more)
        return [
            *_erase(replaced),
            SessionValueSet(
                value_id=self.body.id,
                session_id=session.id,
                namespace=self.namespace,
                name=self.name,
                contents=(self.body.ref,),
            ),
        ]

    def result(self, state: TenantState, _events: Sequence[Any]) -> SessionValue:
        return state[SESSION_VALUES][self.body.id]


@record
class DeleteSessionValues(_OfSession):
    """Delete one value of a namespace, or all of them. The result is their number."""

    name: str | None = None

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[SessionValueErased]:
        self._session(state)
        values = self._values(state)
        return _erase([one for one in values if self.name is None or one.name == self.name])

    def result(self, _state: TenantState, events: Sequence[SessionValueErased]) -> int:
        return len(events)


def _erase(values: Sequence[SessionValue]) -> list[SessionValueErased]:
    return [SessionValueErased(value_id=one.id, session_id=one.session_id) for one in values]


VALUE_COMMANDS = (SetSessionValue, DeleteSessionValues)
