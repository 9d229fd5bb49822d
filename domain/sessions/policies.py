"""What a caller may use and see: the policies of presets, and how they are combined.

* A tool that is denied is denied, whatever is allowed. Without a list of allowed tools, all are.
* A session is visible by ``allowed_keys``, ``key_prefix`` or ``cross_agent`` (``shows``).
  Without a session policy, every session of the tenant is visible, and messages may be sent to it.
* A caller under several policies may do what each of them permits: none widens another.
* Errors come in this order: the tool, the visibility of the session, and sending to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from quorate.domain.sessions.tool_controls import NO_CONTROLS, ToolControls
from quorate.domain.shared.errors import Forbidden
from quorate.domain.shared.records import record

SESSION_KEY_LENGTH_MAX = 200


@record
class ToolRule:
    """``allow`` is None where all tools are allowed."""

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()

    def permits(self, tool: str) -> bool:
        return tool not in self.deny and (self.allow is None or tool in self.allow)


@record
class SessionRule:
    """``allowed_keys`` and ``cross_agent`` are None where they are not written out."""

    key_prefix: str | None = None
    allowed_keys: tuple[str, ...] | None = None
    cross_agent: bool | None = None
    can_send: bool = True

    def shows(self, key: str, *, is_own: bool) -> bool:
        """Return whether a session is visible.

        * A key of ``allowed_keys`` always is.
        * With a prefix: its sessions, also those of other agents unless ``cross_agent`` is false.
        * With ``allowed_keys`` alone: no other session.
        * With neither: the caller's own sessions, or with ``cross_agent`` all of the tenant.
        """
        if self.allowed_keys is not None and key in self.allowed_keys:
            return True
        if self.key_prefix is not None:
            return key.startswith(self.key_prefix) and (is_own or self.cross_agent is not False)
        if self.allowed_keys is not None:
            return False
        return is_own or self.cross_agent is True


@record
class Policy:
    tools: ToolRule = ToolRule()
    sessions: SessionRule | None = None  # None: no policy on sessions.
    controls: ToolControls = NO_CONTROLS  # Those of a run, which hold for the service's tools too.

    def permits(self, tool: str) -> bool:
        return self.tools.permits(tool) and self.controls.permits(tool)


# Of a preset that does not exist any more: nothing.
NOTHING_PERMITTED = Policy(
    tools=ToolRule(allow=()), sessions=SessionRule(allowed_keys=(), can_send=False)
)


@dataclass(eq=False)
class ToolDenied(Forbidden):
    code, title = "tool_denied", "The policy denies this tool"
    detail = "tool access denied: {tool}"
    tool: str


@dataclass(eq=False)
class SessionAccessDenied(Forbidden):
    code, title = "session_access_denied", "The policy denies access to this session"
    detail = "session access denied: {key}"
    key: str


@dataclass(eq=False)
class SessionSendDenied(Forbidden):
    code, title = "session_send_denied", "The policy denies sending messages to sessions"
    detail = "session policy denies sending messages"


@record
class Access:
    """What one caller may do. ``agent_id`` is None for a key of the tenant that names no agent."""

    agent_id: str | None
    policies: Sequence[Policy] = ()

    def permits(self, tool: str) -> bool:
        return all(policy.permits(tool) for policy in self.policies)

    def shows(self, key: str, owner_id: str | None) -> bool:
        """Return whether a session is visible; ``owner_id`` is the agent that owns it."""
        is_own = owner_id is not None and owner_id == self.agent_id
        return all(rule.shows(key, is_own=is_own) for rule in self._rules())

    @property
    def may_send(self) -> bool:
        return all(rule.can_send for rule in self._rules())

    @property
    def is_restricted(self) -> bool:
        """Whether a policy limits which sessions are visible."""
        return any(policy.sessions is not None for policy in self.policies)

    def check_tool(self, tool: str) -> None:
        if not self.permits(tool):
            raise ToolDenied(tool)

    def check_visible(self, key: str, owner_id: str | None) -> None:
        """Raise SessionAccessDenied. Called before the session's existence is considered.

        The owner of a key is known without the session: that of ``agent:NAME:...`` is the agent.
        """
        if not self.shows(key, owner_id):
            raise SessionAccessDenied(key)

    def check_send(self) -> None:
        if not self.may_send:
            raise SessionSendDenied

    def _rules(self) -> list[SessionRule]:
        return [policy.sessions for policy in self.policies if policy.sessions is not None]
