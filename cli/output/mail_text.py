"""Describe events and notifications of mail, each with one sentence.

* An event has camelCase fields, a notification of mail snake_case ones; ``_get`` reads both.
* Subjects, and what mail servers respond, are untrusted text: they are quoted.
"""

from collections.abc import Callable, Mapping
from typing import Any

from quorate.cli.output.agent_names import Details, Names

ADDRESSES_SHOWN_MAX = 3
_TIME_OF_DAY = slice(len("2026-03-01T"), len("2026-03-01T12:00:00"))
# Why a message did not reach a recipient.
REASONS: Mapping[str, str] = {
    "lease_conflict": "another agent holds the contact",
    "stale_fence": "the fencing token is stale",
    "sending_frozen": "mail of the sender to people is frozen",
    "contact_blocked": "the policy of the recipient does not accept it",
    "no_such_agent": "no agent has this address",
    "no_relay": "no SMTP relay is configured",
    "erased": "its body was erased before it was sent",
}


def describe_reason(reason: object) -> str:
    return REASONS.get(str(reason), str(reason).replace("_", " "))


def quote(text: object) -> str:
    return f"\N{LEFT DOUBLE QUOTATION MARK}{text}\N{RIGHT DOUBLE QUOTATION MARK}"


def join_addresses(addresses: "list[str] | tuple[str, ...]") -> str:
    """Return the first addresses, and the number of the others."""
    shown = ", ".join(addresses[:ADDRESSES_SHOWN_MAX])
    more = len(addresses) - ADDRESSES_SHOWN_MAX
    return f"{shown} and {more} more" if more > 0 else shown


def _get(details: Details, name: str) -> Any:  # noqa: ANN401 - any JSON value.
    """Return a field by its snake_case name; raise KeyError if it is missing."""
    if name in details:
        return details[name]
    first, *others = name.split("_")
    return details[first + "".join(word.capitalize() for word in others)]


def _agent(details: Details, names: Names) -> str:
    return names.of(_get(details, "agent_id"))


def _message(details: Details) -> str:
    return f"message {_get(details, 'message_id')}"


def _to_person(details: Details, names: Names) -> str:
    return f"mail of {_agent(details, names)} to {details['address']}"


def _response(details: Details) -> str:
    """Return what the mail server answered, if it did."""
    answer = details.get("detail") or details.get("smtpCode")
    return f": {quote(answer)}" if answer else ""


def _after(attempts: int) -> str:
    return f"after {attempts} attempt{'' if attempts == 1 else 's'}"


# -- Messages --------------------------------------------------------------------


def _sent(details: Details, names: Names) -> str:
    to = join_addresses([*details["to"], *details["cc"]])
    return f"{_agent(details, names)} sent {quote(details['subject'])} to {to}"


def _came_from_outside(details: Details, _names: Names) -> str:
    to = join_addresses([*details["to"], *details["cc"]])
    return f"{details['fromAddress']} sent {quote(details['subject'])} to {to}, from outside"


def _delivered(details: Details, names: Names) -> str:
    subject, sender = quote(_get(details, "subject")), _get(details, "from_address")
    return f"{_agent(details, names)} received {subject} from {sender}"


def _received(details: Details, _names: Names) -> str:
    sender, subject = _get(details, "from_address"), quote(_get(details, "subject"))
    wants = "; it asks for an acknowledgement" if _get(details, "ack_required") else ""
    return f"new mail from {sender}: {subject} ({_get(details, 'message_id')}){wants}"


def _erased(details: Details, _names: Names) -> str:
    why = "its retention ended" if details["reason"] == "retention" else "requested"
    return f"body of {_message(details)} erased: {details.get('detail') or why}"


# -- Delivery to people ------------------------------------------------------------


def _queued(details: Details, names: Names) -> str:
    return f"{_to_person(details, names)} is queued"


def _held(details: Details, names: Names) -> str:
    return f"{_to_person(details, names)} is held: {describe_reason(details['reason'])}"


def _blocked(details: Details, names: Names) -> str:
    why = describe_reason(details["reason"])
    if (holder := details.get("holderName")) is not None:
        until = str(details["expiresAt"])[_TIME_OF_DAY]
        why = f"{holder} holds the contact until {until}"
    return f"{_to_person(details, names)} was blocked: {why}"


def _refused(details: Details, names: Names) -> str:
    return f"{_to_person(details, names)} was refused: {describe_reason(details['reason'])}"


def _relayed(details: Details, names: Names) -> str:
    attempts = details["attempts"]
    times = "" if attempts == 1 else f" {_after(attempts)}"
    return f"{_to_person(details, names)} was accepted by the SMTP relay{times}"


def _deferred(details: Details, names: Names) -> str:
    at = str(details["nextAttemptAt"])[_TIME_OF_DAY]
    return f"{_to_person(details, names)} failed, next attempt at {at}{_response(details)}"


def _bounced(details: Details, names: Names) -> str:
    why = describe_reason(details["reason"])
    return f"{_to_person(details, names)} bounced ({why}){_response(details)}"


def _dead_lettered(details: Details, names: Names) -> str:
    times = _after(details["attempts"])
    return f"{_to_person(details, names)} is a dead letter {times}{_response(details)}"


def _dropped(details: Details, names: Names) -> str:
    why = f": {quote(details['detail'])}" if details.get("detail") else ""
    return f"dead letter dropped, {_to_person(details, names)}{why}"


def _cancelled(details: Details, names: Names) -> str:
    return f"{_to_person(details, names)} was cancelled: {describe_reason(details['reason'])}"


def _complaint(details: Details, names: Names) -> str:
    return f"{details['address']} reported mail of {_agent(details, names)} as spam"


# -- Mailboxes ---------------------------------------------------------------------


def _marked(verb: str) -> Callable[[Details, Names], str]:
    def describe(details: Details, names: Names) -> str:
        return f"{_agent(details, names)} {verb} {_message(details)}"

    return describe


def _unread(details: Details, names: Names) -> str:
    return f"{_agent(details, names)} marked {_message(details)} as unread"


def _starred(details: Details, names: Names) -> str:
    verb = "starred" if details["starred"] else "removed the star of"
    return f"{_agent(details, names)} {verb} {_message(details)}"


def _freed(details: Details, names: Names) -> str:
    size = details["bytes"]
    return f"{size} bytes of {_message(details)} freed in the mailbox of {_agent(details, names)}"


def _reminded(details: Details, names: Names) -> str:
    subject = quote(details["subject"])
    return f"{_agent(details, names)} was reminded to acknowledge {subject}"


def _overdue(details: Details, names: Names) -> str:
    return f"{_agent(details, names)} has not acknowledged {_message(details)} in time"


def _due(details: Details, _names: Names) -> str:
    sender = _get(details, "from_address")
    wanted = f"waits for your acknowledgement of {quote(_get(details, 'subject'))}"
    return f"{sender} {wanted} ({_get(details, 'message_id')})"


def _status(details: Details, names: Names) -> str:
    """Describe what became of a sent message: for an address, or by an agent."""
    status = str(details["status"]).replace("_", " ")
    if (agent_id := details.get("by_agent_id")) is not None:
        if status == "ack overdue":
            return f"{names.of(agent_id)} has not acknowledged {_message(details)} in time"
        return f"{names.of(agent_id)} {status} {_message(details)}"
    reason = details.get("reason")
    why = f": {describe_reason(reason)}" if reason else ""
    return f"{_message(details)} to {details['address']}: {status}{why}"


# -- Accounts ----------------------------------------------------------------------


def _policy_set(details: Details, names: Names) -> str:
    lists = f"{len(details['allow'])} allowed, {len(details['block'])} blocked"
    return f"mail policy of {_agent(details, names)}: {details['mode']}, {lists}"


def _frozen(details: Details, names: Names) -> str:
    why = details.get("detail") or (
        "its reputation is too low" if details["reason"] == "reputation" else "by an operator"
    )
    return f"mail of {_agent(details, names)} to people is frozen: {why}"


def _thawed(details: Details, names: Names) -> str:
    why = f": {details['detail']}" if details.get("detail") else ""
    return f"mail of {_agent(details, names)} to people is permitted again{why}"


def _tier_set(details: Details, names: Names) -> str:
    return f"mail tier of {_agent(details, names)}: {details['tier']}"


MAIL_TEMPLATES: Mapping[str, Callable[[Details, Names], str]] = {
    "MessageSent": _sent,
    "MessageReceived": _came_from_outside,
    "MessageDelivered": _delivered,
    "MessageErased": _erased,
    "MessageQueued": _queued,
    "MessageHeld": _held,
    "MessageBlocked": _blocked,
    "MessageRefused": _refused,
    "MessageRelayed": _relayed,
    "MessageDeferred": _deferred,
    "MessageBounced": _bounced,
    "MessageDeadLettered": _dead_lettered,
    "DeadLetterDropped": _dropped,
    "MessageCancelled": _cancelled,
    "ComplaintReceived": _complaint,
    "MessageRead": _marked("read"),
    "MessageUnread": _unread,
    "MessageStarred": _starred,
    "MessageAcknowledged": _marked("acknowledged"),
    "MessageDeleted": _marked("deleted"),
    "MailboxFreed": _freed,
    "AcknowledgementReminded": _reminded,
    "AcknowledgementOverdue": _overdue,
    "MailPolicySet": _policy_set,
    "MailSendingFrozen": _frozen,
    "MailSendingThawed": _thawed,
    "MailTierSet": _tier_set,
    "message_received": _received,
    "message_status": _status,
    "acknowledgement_due": _due,
}
