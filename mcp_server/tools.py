"""Which operations are tools, under which names, in which profile.

* A tool is an operation. Its arguments, its result and its errors are those of the operation.
* ``COORDINATION_TOOLS`` names the tools of the profile ``coordination``. Those of ``sessions`` are
  all operations that declare the name of a tool themselves.
* A profile has at most TOOLS_PER_PROFILE_MAX tools: models choose worse among more.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from quorate.contracts.coordination import consensus, leases, send_gate
from quorate.contracts.identity import agents
from quorate.contracts.mail import mailbox, messages
from quorate.contracts.message_fields import IDEMPOTENCY_FIELD, MessageFields, read_fields
from quorate.contracts.notification_pages import LIST_NOTIFICATIONS
from quorate.contracts.operations import AnyOperation, json_name
from quorate.contracts.problems import Problem
from quorate.contracts.registry import OPERATIONS
from quorate.domain.shared.records import record
from quorate.mcp_server.profile_names import COORDINATION, SESSIONS

TOOLS_PER_PROFILE_MAX = 15
WAIT_SECONDS_MAX = 25.0  # Below the 30 s after which many clients and proxies give up.
Json: TypeAlias = Mapping[str, Any]


@record
class Timeout:
    """The argument of a tool that waits: another name and maximum for a field of the operation."""

    field: str
    argument: str = "timeout_seconds"
    seconds_max: float = WAIT_SECONDS_MAX  # Also the default.

    def apply(self, values: dict[str, Any]) -> None:
        """Replace the argument by the field; raises Problem above the maximum."""
        seconds = values.pop(self.argument, self.seconds_max)
        if isinstance(seconds, int | float) and seconds > self.seconds_max:
            why = f"Input should be less than or equal to {self.seconds_max:g}"
            errors = [{"field": self.argument, "why": why}]
            raise Problem("invalid_request", f"{self.argument}: {why}", errors=errors)
        values[self.field] = seconds


@record
class Tool:
    """A tool.

    * ``note``: what an agent must know besides the description of the operation.
    * ``timeout``: how long the call may wait for something to happen.
    * ``is_idempotent``: whether a repeated call has no further effect, without a key.
    * ``is_destructive``: whether it ends or deletes something. MCP's default is yes.
    * ``reaches_people``: whether it reaches people outside.
    * ``next_step``: makes a sentence about the next call from a result.
    """

    name: str
    operation: AnyOperation
    note: str = ""
    timeout: Timeout | None = None
    is_idempotent: bool = False
    is_destructive: bool = False
    reaches_people: bool = False
    next_step: Callable[[Json], str] | None = None

    @property
    def is_read_only(self) -> bool:
        return not self.operation.command

    def read(self, arguments: Json, *, own_id: str | None = None) -> MessageFields:
        """Validate the arguments of a call with the models of the operation; raises Problem."""
        values = dict(arguments)
        if self.timeout is not None:
            self.timeout.apply(values)
        if IDEMPOTENCY_FIELD in values and self.operation.command:
            values[json_name(self.operation, IDEMPOTENCY_FIELD)] = values.pop(IDEMPOTENCY_FIELD)
        return read_fields(self.operation, values, own_id=own_id)


@record
class Profile:
    name: str
    tools: tuple[Tool, ...]

    def find(self, name: object) -> Tool | None:
        return next((tool for tool in self.tools if tool.name == name), None)


def _wait_again(page: Json) -> str:
    cursor = f"after={page['next']}"
    if page.get("logId"):
        cursor += f" and logId={page['logId']}"
    return f"To wait for what comes next, call wait_for_notifications with {cursor}."


COORDINATION_TOOLS: tuple[Tool, ...] = (
    Tool(
        name="register",
        operation=agents.REGISTER,
        note="Call it first, with the same name after each restart.",
        is_idempotent=True,
    ),
    Tool(
        name="heartbeat",
        operation=agents.HEARTBEAT,
        note="Call it well before `activeUntil` of the last response. An agent that is late is "
        "inactive, and its leases end.",
        is_idempotent=True,
    ),
    Tool(
        name="acquire_lease",
        operation=leases.ACQUIRE_LEASE,
        note="Only the holder of the lease may contact the person. Keep `id` and `fence`.",
    ),
    Tool(
        name="renew_lease",
        operation=leases.RENEW_LEASE,
        note="Call it before `expiresAt`, if the work takes longer.",
    ),
    Tool(
        name="release_lease",
        operation=leases.RELEASE_LEASE,
        note="Call it when the work is done, so that others need not wait.",
        is_idempotent=True,
        is_destructive=True,
    ),
    Tool(name="list_leases", operation=leases.LIST_LEASES),
    Tool(
        name="request_send",
        operation=send_gate.REQUEST_SEND,
        note="Call it directly before each message to a person, with the `fence` of the lease. "
        "Send only if `status` is `authorized`.",
        reaches_people=True,
    ),
    Tool(
        name="propose",
        operation=consensus.REQUEST_CONSENSUS,
        note="Act only after get_consensus says `approved`.",
    ),
    Tool(
        name="vote",
        operation=consensus.CAST_VOTE,
        note="The first vote of an agent is final.",
        is_idempotent=True,
    ),
    Tool(name="get_consensus", operation=consensus.GET_CONSENSUS),
    Tool(
        name="mail_send",
        operation=messages.SEND_MAIL,
        note="All agents of the tenant have addresses in one domain: mail_account shows it. "
        "To answer, pass the `message_id` of the message as `in_reply_to`.",
        reaches_people=True,
    ),
    Tool(
        name="mail_inbox",
        operation=messages.LIST_INBOX,
        note="To read only what is new, pass the last `cursor` as `since`.",
    ),
    Tool(name="mail_thread", operation=messages.GET_THREAD),
    Tool(
        name="mail_account",
        operation=mailbox.GET_ACCOUNT,
        note="Another agent has the same address with its own name before the @.",
    ),
    Tool(
        name="wait_for_notifications",
        operation=LIST_NOTIFICATIONS,
        note="It returns as soon as there is a notification, else after `timeout_seconds` with an "
        "empty list. Begin with `after` = `lastNotification` of heartbeat, and continue with "
        "`next` of each response.",
        timeout=Timeout(field="wait"),
        next_step=_wait_again,
    ),
)
# The other tools of sessions that change something may also delete it.
_ADDITIVE = frozenset({"sessions_send", "sessions_create", "branch_session", "spawn_agent"})


def session_tools(operations: Iterable[AnyOperation]) -> tuple[Tool, ...]:
    """Return a tool for each operation that declares the name of one."""
    return tuple(
        Tool(
            name=name,
            operation=operation,
            is_destructive=operation.command and name not in _ADDITIVE,
        )
        for operation in operations
        if (name := operation.tool) is not None
    )


PROFILES: Mapping[str, Profile] = {
    COORDINATION: Profile(name=COORDINATION, tools=COORDINATION_TOOLS),
    SESSIONS: Profile(name=SESSIONS, tools=session_tools(OPERATIONS)),
}
