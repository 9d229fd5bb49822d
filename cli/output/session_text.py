"""Describe events and notifications of sessions, each with one sentence."""

from collections.abc import Callable, Mapping

from quorate.cli.output.agent_names import Details, Names


def _created(details: Details, names: Names) -> str:
    return f"{names.of(details['ownerId'])} has the new session {details['sessionKey']}"


def _branched(details: Details, _names: Names) -> str:
    return (
        f"Session {details['sessionKey']} was branched before message {details['forkPoint']} of "
        f"{details['sourceId']}"
    )


def _deleted(details: Details, _names: Names) -> str:
    reason = " with its agent" if details["reason"] == "agent_removed" else ""
    return f"Session {details['sessionKey']} was deleted{reason}"


def _session_erased(details: Details, _names: Names) -> str:
    return f"All bodies of the deleted session {details['sessionId']} were erased"


def _appended(details: Details, names: Names) -> str:
    sender = details.get("fromAgentId")
    name = "The service" if sender is None else names.of(sender)
    return f"{name} sent message {details['index']} to session {details['sessionKey']}"


def _read(details: Details, names: Names) -> str:
    return (
        f"{names.of(details['agentId'])} read message {details['index']} of session "
        f"{details['sessionKey']}"
    )


def _erased(details: Details, _names: Names) -> str:
    return f"The body of session message {details['messageId']} was erased: {details['reason']}"


def _value_set(details: Details, _names: Names) -> str:
    place = f"{details['namespace']}/{details['name']}"
    return f"Session {details['sessionId']} has the value {place}"


def _value_erased(details: Details, _names: Names) -> str:
    return f"A value of session {details['sessionId']} was erased"


def _message(details: Details, names: Names) -> str:
    sender = details.get("from_agent_id")
    name = "The service" if sender is None else names.of(sender)
    done = "answered" if details.get("is_reply") else "sent message"
    content = details.get("content")
    text = "" if content is None else f": {content}"
    return f"{name} {done} {details['index']} in {details['session_key']}{text}"


def _was_read(details: Details, names: Names) -> str:
    return (
        f"{names.of(details['by_agent_id'])} read message {details['index']} of "
        f"{details['session_key']}"
    )


SESSION_TEMPLATES: Mapping[str, Callable[[Details, Names], str]] = {
    "SessionCreated": _created,
    "SessionBranched": _branched,
    "SessionDeleted": _deleted,
    "SessionErased": _session_erased,
    "SessionMessageAppended": _appended,
    "SessionMessageRead": _read,
    "SessionMessageErased": _erased,
    "SessionValueSet": _value_set,
    "SessionValueErased": _value_erased,
    "session_message": _message,
    "session_read": _was_read,
}
