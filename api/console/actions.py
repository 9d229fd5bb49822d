"""What an operator may do from a page. Each action is an operation of the API.

* An action is shown if its operation is in the registry and the role of the key may call it.
* Its page says what will happen, and asks for a reason if the operation records one.
* Agents' and auditors' keys have no actions here: agents act through the API.
"""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import BY_NAME, Caller
from quorate.contracts.operations import path_parameters
from quorate.domain.shared.records import record

REASON_FIELDS = ("reason", "detail")
ROLES = frozenset({"admin", "tenant"})


@record
class Action:
    """``label`` is the text of the button, ``consequence`` what will happen."""

    operation: str
    label: str
    consequence: str

    @property
    def parameter(self) -> str:
        """Return the name of the id in the path of the operation."""
        return path_parameters(BY_NAME[self.operation])[0]

    @property
    def reason_field(self) -> str | None:
        """Return the field of the body that takes the reason, if there is one."""
        body = BY_NAME[self.operation].body
        names: Mapping[str, Any] = {} if body is None else body.model_fields
        return next((name for name in REASON_FIELDS if name in names), None)


ACTIONS = (
    Action(
        operation="endLease",
        label="End lease",
        consequence="The lease ends now. Its holder and the agents that wait are notified.",
    ),
    Action(
        operation="deactivateAgent",
        label="Mark inactive",
        consequence="The agent becomes inactive and its leases end. Its next heartbeat revives it.",
    ),
    Action(
        operation="revokeKey",
        label="Revoke key",
        consequence="Requests with this key are rejected within a second. This cannot be undone.",
    ),
    Action(
        operation="endConsensus",
        label="Cancel vote",
        consequence="The vote ends without a decision, and its voters are notified.",
    ),
    Action(
        operation="retryDeadLetter",
        label="Retry",
        consequence="The service attempts the delivery again.",
    ),
    Action(
        operation="dropDeadLetter",
        label="Drop",
        consequence="The message is not delivered to this address. This cannot be undone.",
    ),
    Action(
        operation="freezeMailAccount",
        label="Freeze mail",
        consequence="The agent can receive mail, but cannot send any until it is thawed.",
    ),
    Action(
        operation="thawMailAccount",
        label="Thaw mail",
        consequence="The agent can send mail again.",
    ),
    Action(
        operation="retryTask",
        label="Retry task",
        consequence="The task returns to the queue, and a worker can claim it.",
    ),
    Action(
        operation="cancelTask",
        label="Cancel task",
        consequence="The task ends as canceled, and so do the tasks that it submitted.",
    ),
    Action(
        operation="requeueTask",
        label="Requeue task",
        consequence="The claim of the worker ends, and another worker can claim the task.",
    ),
    Action(
        operation="pauseSchedule",
        label="Pause",
        consequence="The schedule submits no tasks until it is resumed.",
    ),
    Action(
        operation="resumeSchedule",
        label="Resume",
        consequence="The schedule submits tasks again at its times.",
    ),
    Action(
        operation="pauseTenant",
        label="Pause tenant",
        consequence="The tenant can read, but every command is rejected.",
    ),
    Action(
        operation="unpauseTenant",
        label="Unpause tenant",
        consequence="Commands of the tenant are accepted again.",
    ),
    Action(
        operation="suspendTenant",
        label="Suspend tenant",
        consequence="All keys of the tenant are rejected until it is resumed.",
    ),
    Action(
        operation="resumeTenant",
        label="Resume tenant",
        consequence="The keys of the tenant are accepted again.",
    ),
)


def find_action(caller: Caller, operation: str) -> Action | None:
    """Return the action of an operation, if it exists and the caller may call it."""
    found = next((one for one in ACTIONS if one.operation == operation), None)
    if found is None or operation not in BY_NAME:
        return None
    own = caller.session.principal.role
    return found if own in ROLES and own in BY_NAME[operation].roles else None
