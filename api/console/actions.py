"""What an operator may do from a page. Each action is an operation of the API.

* An action is shown if its operation is in the registry and the role of the key may call it.
* Its page says what will happen, and asks for a reason, which the event of the operation holds.
* Agents' and auditors' keys have no actions here: agents act through the API.
"""

from quorate.api.console.caller import BY_NAME, Caller
from quorate.contracts.operations import path_parameters
from quorate.contracts.operator_actions import OPERATOR_ACTIONS
from quorate.domain.shared.records import record

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

    async def perform(self, caller: Caller, id_: str, reason: str) -> None:
        """Call the operation; raise Problem."""
        operation = BY_NAME[self.operation]
        path, fields = {self.parameter: id_}, {OPERATOR_ACTIONS[self.operation]: reason}
        if operation.body is None:
            await caller.call(operation, path, query=fields)
        else:
            await caller.call(operation, path, body=fields)


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
        consequence="Its mail to people is blocked until it is thawed. Agents still receive it.",
    ),
    Action(
        operation="thawMailAccount",
        label="Thaw mail",
        consequence="The agent can send mail to people again, and its reputation begins again.",
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
