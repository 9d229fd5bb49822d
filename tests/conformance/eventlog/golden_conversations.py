"""Commands of sessions for the golden log: they produce every event type of sessions."""

from collections.abc import Sequence
from typing import Any

from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.session_commands import BranchSession, CreateSession, DeleteSession
from quorate.domain.sessions.session_sending import (
    EraseDeletedSession,
    EraseSessionMessage,
    MarkSessionRead,
    SendToSession,
)
from quorate.domain.sessions.session_value_commands import DeleteSessionValues, SetSessionValue
from quorate.domain.shared.contents import Content

SALT = b"0123456789abcdef"


def conversation_story(
    caller: Principal, sender: str, owner: str, text: str
) -> Sequence[tuple[int, Any]]:
    """Return commands and the minutes before each. Both agents are registered."""
    main = f"agent:{owner}:main"

    def by(name: str) -> dict[str, Any]:
        restrictions = Restrictions(preset_names=())
        return {"caller": caller, "agent": AgentRef(name=name), "restrictions": restrictions}

    def send(name: str, key: str, id_: str, **more: Any) -> SendToSession:  # noqa: ANN401
        body = Content(id=id_, part="text", salt=SALT, data=f"{text} {id_}".encode())
        return SendToSession(**by(name), key=key, body=body, **more)

    labelled: dict[str, Any] = {"label": text, "model": "small", "project_id": "project-1"}
    work = "session:019b0000-0000-7000-8000-000000000001"
    branch = "session:019b0000-0000-7000-8000-000000000002"
    value = Content(id="sval_1", part="json", salt=SALT, data=b'{"step":1}')
    place: dict[str, Any] = {"session_id": "ses_1", "namespace": "plan"}
    return (
        (0, send(sender, main, "smsg_1", context_label="coordinator", model="small")),
        (0, send(owner, main, "smsg_2", in_reply_to="smsg_1")),
        (0, MarkSessionRead(**by(owner), key=main, message_ids=("smsg_1",))),
        (1, CreateSession(**by(owner), key=work, new_session_id="ses_1", **labelled)),
        (0, send(sender, work, "smsg_3")),
        (0, SetSessionValue(**by(owner), **place, name="step", body=value)),
        (0, DeleteSessionValues(**by(owner), **place, name="step")),
        (
            0,
            BranchSession(
                **by(owner),
                source_key=work,
                new_key=branch,
                new_session_id="ses_2",
                label=text,
                fork_point=1,
            ),
        ),
        (0, send(owner, branch, "smsg_4")),
        (0, EraseSessionMessage(caller=caller, message_id="smsg_3", detail=text)),
        (1, DeleteSession(**by(owner), key=branch)),
        (0, EraseDeletedSession(session_id="ses_2", message_ids=("smsg_4",))),
        (0, EraseDeletedSession(session_id="ses_2")),
    )
