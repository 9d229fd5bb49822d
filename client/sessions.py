"""The sessions of a connected agent: send, wait for replies, read, and receive as they arrive.

* Each call of ``send`` or ``reply`` has its own idempotency key, which all its attempts carry. So a
  retry never sends twice. To send once across restarts of the program, pass ``idempotency_key``.
* The position in a session is ``message.index``. ``incoming(key, after=...)`` continues after it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from quorate.client import session_requests
from quorate.client.agent_context import AgentContext
from quorate.client.notifications import NotificationFeed
from quorate.client.request_builder import Request
from quorate.client.session_arrivals import follow_session
from quorate.contracts.sessions.session_messages import (
    SEARCH_LIMIT_DEFAULT,
    WAIT_SECONDS_DEFAULT,
    SessionHistory,
    SessionHit,
    SessionMessageInfo,
    SessionSent,
)
from quorate.contracts.sessions.sessions import (
    LIMIT_DEFAULT,
    LIMIT_MAX,
    SessionBranchInfo,
    SessionCreatedInfo,
    SessionInfo,
    SessionPage,
    SessionStateInfo,
    SessionValueInfo,
    StateOperation,
)
from quorate.domain.sessions.session_messages import SessionRole
from quorate.domain.sessions.sessions import main_session_key

if TYPE_CHECKING:
    from quorate.contracts.notifications import SessionMessage


class SessionState:
    """The values of one session in one namespace; made by ``agent.sessions.state``."""

    def __init__(self, context: AgentContext, namespace: str, session_key: str | None) -> None:
        self._context = context
        self._namespace = namespace
        self._session_key = session_key

    def __repr__(self) -> str:
        return f"SessionState({self._namespace!r}, session_key={self._session_key!r})"

    async def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - any JSON value.
        """Return a value, or ``default`` if there is none."""
        found = await self._call("get", key=key)
        return found.value if found.found else default

    async def set(self, key: str, value: Any) -> None:  # noqa: ANN401 - any JSON value.
        """Store a JSON value of at most 64 KiB."""
        await self._call("set", key=key, value=value)

    async def delete(self, key: str) -> bool:
        """Delete a value; return whether there was one."""
        return bool((await self._call("delete", key=key)).deleted)

    async def list(self) -> list[SessionValueInfo]:
        """Return the keys of the values, their sizes and their times."""
        return (await self._call("list")).values or []

    async def clear(self) -> int:
        """Delete all values of the namespace; return their number."""
        return (await self._call("clear")).deleted or 0

    async def _call(self, operation: StateOperation, **fields: Any) -> SessionStateInfo:  # noqa: ANN401
        return await self._context.execute(
            session_requests.session_state(
                self._context.agent_ref,
                operation,
                self._namespace,
                session_key=self._session_key,
                **fields,
            )
        )


class Sessions:
    """The sessions that an agent sees: ``agent.sessions``. It raises the exceptions of ``Agent``.

    What the agent sees follows from the policy of its key (docs/sessions.md).
    """

    def __init__(self, context: AgentContext, feed: NotificationFeed) -> None:
        self._context = context
        self._feed = feed

    @property
    def main(self) -> str:
        """The key of the agent's main session."""
        return main_session_key(self._context.agent_name)

    # -- Sessions ------------------------------------------------------------

    async def list(
        self,
        filter: str | None = None,  # noqa: A002 - as the tool names it.
        *,
        limit: int = LIMIT_DEFAULT,
        cursor: str | None = None,
    ) -> SessionPage:
        """Return one page of the sessions whose key or label contains ``filter``."""
        request = session_requests.list_sessions(
            self._context.agent_ref, filter, limit=limit, cursor=cursor
        )
        return await self._context.execute(request)

    async def iterate(
        self,
        filter: str | None = None,  # noqa: A002 - as the tool names it.
    ) -> AsyncIterator[SessionInfo]:
        """Yield all these sessions; further pages are requested when they are needed."""
        cursor = None
        while True:
            page = await self.list(filter, limit=LIMIT_MAX, cursor=cursor)
            for session in page.sessions:
                yield session
            cursor = page.next_cursor
            if cursor is None:
                return

    async def create(
        self,
        key: str | None = None,
        *,
        label: str | None = None,
        model: str | None = None,
        project_id: str | None = None,
        inherit_agent_from: str | None = None,
    ) -> SessionCreatedInfo:
        """Create a session, or return the one with this key (``created`` is False then)."""
        return await self._context.execute(
            session_requests.create_session(
                self._context.agent_ref,
                key,
                label=label,
                model=model,
                project_id=project_id,
                inherit_agent_from=inherit_agent_from,
            )
        )

    async def branch(
        self, label: str, *, key: str | None = None, fork_point: int | None = None
    ) -> SessionBranchInfo:
        """Create a session with the messages of ``key`` before ``fork_point``.

        The defaults are the main session of the agent, and all messages.
        """
        request = session_requests.branch_session(
            self._context.agent_ref, label, key=key, fork_point=fork_point
        )
        return await self._context.execute(request)

    async def delete(self, key: str, *, force: bool = False) -> None:
        """Delete a session. Raises MainSessionKeptError and SessionHasBranchesError."""
        request = session_requests.delete_session(self._context.agent_ref, key, force=force)
        await self._context.execute(request)

    def state(self, namespace: str, *, session_key: str | None = None) -> SessionState:
        """Return the values of one of the agent's sessions, by default its main session."""
        return SessionState(self._context, namespace, session_key)

    # -- Messages ------------------------------------------------------------

    async def send(
        self,
        key: str,
        message: Any,  # noqa: ANN401 - a text or another JSON value.
        *,
        wait_for_reply: bool = False,
        timeout_seconds: int = WAIT_SECONDS_DEFAULT,
        context: str | None = None,
        model: str | None = None,
        in_reply_to: str | None = None,
        role: SessionRole | None = None,
        idempotency_key: str | None = None,
    ) -> SessionSent:
        """Send a text or another JSON value to a session, and return where it is.

        With ``wait_for_reply`` it returns when the owner of the session answers the message, with
        ``reply``, or after ``timeout_seconds`` with ``replied=False``. An interrupted wait
        continues in the next attempt, and the message is sent once.

        Raises SessionNotFoundError, and SessionBodyTooLargeError above 256 KiB.
        """
        request = session_requests.send_message(
            self._context.agent_ref,
            key,
            message,
            wait_for_reply=wait_for_reply,
            timeout_seconds=timeout_seconds,
            context=context,
            model=model,
            in_reply_to=in_reply_to,
            role=role,
        )
        return await self._send(request, idempotency_key)

    async def reply(
        self,
        message: "SessionMessageInfo | SessionMessage",
        content: Any,  # noqa: ANN401 - a text or another JSON value.
        *,
        key: str | None = None,
        idempotency_key: str | None = None,
    ) -> SessionSent:
        """Answer a message, in its session or in the session ``key``.

        The first answer of a session's owner ends the wait of the sender.
        """
        message_id = message.id if isinstance(message, SessionMessageInfo) else message.message_id
        request = session_requests.send_message(
            self._context.agent_ref, key or message.session_key, content, in_reply_to=message_id
        )
        return await self._send(request, idempotency_key)

    async def _send(
        self, request: Request[SessionSent], idempotency_key: str | None
    ) -> SessionSent:
        timeout_seconds = self._context.config.timeout_seconds + request.long_poll_seconds
        response = await self._context.transport.send(
            request, timeout_seconds=timeout_seconds, idempotency_key=idempotency_key
        )
        return response.result

    async def history(
        self,
        key: str,
        *,
        limit: int = LIMIT_DEFAULT,
        offset: int = 0,
        cursor: str | None = None,
        after: int | None = None,
        mark_read: bool = False,
    ) -> SessionHistory:
        """Return a page of messages, the oldest first.

        * Without ``after`` it ends with the newest message, or before the newest ``offset``;
          ``cursor=page.next_cursor`` continues with older messages.
        * ``after``: the messages after this index; -1 begins with the first one.
        * ``mark_read``: their senders are notified. Only for the agent's own sessions.
        """
        request = session_requests.read_history(
            self._context.agent_ref,
            key,
            limit=limit,
            offset=offset,
            cursor=cursor,
            after=after,
            mark_read=mark_read,
        )
        return await self._context.execute(request)

    async def search(
        self,
        query: str,
        *,
        limit: int = SEARCH_LIMIT_DEFAULT,
        exclude_current: bool = True,
        per_session: int = 1,
        session_key: str | None = None,
    ) -> Sequence[SessionHit]:
        """Return messages that contain all words of the query, the newest first.

        ``session_key`` is the current session, which is left out unless ``exclude_current`` is
        False.
        """
        request = session_requests.search_sessions(
            self._context.agent_ref,
            query,
            limit=limit,
            exclude_current=exclude_current,
            per_session=per_session,
            session_key=session_key,
        )
        return (await self._context.execute(request)).results

    def incoming(
        self, key: str | None = None, *, after: int | None = None
    ) -> AsyncGenerator[SessionMessageInfo, None]:
        """Yield the messages of others in a session as they arrive, also across outages.

        ``key`` is one of the agent's own sessions, by default its main session. ``after`` is the
        ``index`` of the last message that you processed, also by an earlier process; -1 begins
        with the first message. By default it starts where the agent connected. The iteration ends
        when the agent disconnects.

        Notifications wake it; it does not poll. It marks nothing as read.
        """
        self._context.process.check()
        return follow_session(self._context, self._feed, key or self.main, after)
