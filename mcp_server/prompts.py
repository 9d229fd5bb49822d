"""The prompt that teaches an agent to coordinate, and the short form that every client receives."""

from collections.abc import Mapping

INSTRUCTIONS = (
    "Quorate lets many agents work for one tenant without collisions. Register once, send "
    "heartbeats, acquire a lease on a person before you work on them, ask request_send before each "
    "message to them, and release the lease. The prompt `coordinate` shows the whole sequence. "
    "A failed call says what to do next. Pass an idempotency_key to commands that you may repeat."
)
COORDINATE = "coordinate"
COORDINATE_TITLE = "Coordinate with other agents"
COORDINATE_DESCRIPTION = "How to register, stay active, lease a contact, pass the gate, release."
AGENT_NAME, CONTACT_EMAIL = "agent_name", "contact_email"
ARGUMENTS: Mapping[str, str] = {
    AGENT_NAME: "Name of the agent. Default: a name of your choice.",
    CONTACT_EMAIL: "The person to work on, if it is known already.",
}
ARGUMENT_LENGTH_MAX = 320
_STEPS = """\
You share a tenant with other agents. Follow these steps.

1. Register: call `register` with agentName {agent}. Keep `id`. Repeat it after each restart, with \
the same name.
2. Stay active: call `heartbeat` well before `activeUntil`. If you are late, you become inactive \
and your leases end.
3. Lease: before any work on {contact}, call `acquire_lease` with your agentName, contactEmail and \
a durationMinutes that is long enough. Keep `id`, `fence` and `expiresAt`.
   - `lease_conflict`: another agent works on the contact. Take another contact, or wait with \
`wait_for_notifications` for `lease_available`.
   - The work takes longer: call `renew_lease` before `expiresAt`.
4. Gate: directly before each message to the person, call `request_send` with contactEmail and \
fence. Send only if `status` is `authorized`. If it is `blocked`, `reason` says why: do not send.
5. Actions that concern all agents: call `propose`, tell the others by `mail_send`, and act only \
when `get_consensus` says `approved`. Vote on the proposals of others with `vote`.
6. Release: call `release_lease` with leaseId when you are done, also after a failure.

While you wait, call `wait_for_notifications` with `after` = `next` of its last response.
Give each command an idempotency_key, and repeat a call that failed without a response with the \
same key: it is carried out once. A failed call says what to do next.
"""


def coordinate(given: Mapping[str, str]) -> str:
    """Return the text of the prompt ``coordinate`` for its arguments."""
    name, contact = given.get(AGENT_NAME), given.get(CONTACT_EMAIL)
    return _STEPS.format(
        agent=_quoted(name) if name else "set to a name of your choice",
        contact=_quoted(contact) if contact else "a person",
    )


def _quoted(text: str) -> str:
    plain = "".join(one for one in text[:ARGUMENT_LENGTH_MAX] if one.isprintable())
    return f'"{plain}"'
