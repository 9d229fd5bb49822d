"""Synchronous variant of ``agent.sessions`` (client/sessions.py)."""

from quorate.client import sessions
from quorate.client.sync_proxy import Method, SyncProxy, run
from quorate.client.sync_proxy import iterate as iterate_sync


class SessionState(SyncProxy):
    """The values of one session in one namespace; made by ``agent.sessions.state``."""

    _target: sessions.SessionState

    get = run(sessions.SessionState.get)
    set = run(sessions.SessionState.set)
    delete = run(sessions.SessionState.delete)
    list = run(sessions.SessionState.list)
    clear = run(sessions.SessionState.clear)


class Sessions(SyncProxy):
    """The sessions that a connected agent sees: ``agent.sessions``."""

    _target: sessions.Sessions

    @property
    def main(self) -> str:
        """The key of the agent's main session."""
        return self._target.main

    list = run(sessions.Sessions.list)
    iterate = Method(sessions.Sessions.iterate, iterate_sync)
    create = run(sessions.Sessions.create)
    branch = run(sessions.Sessions.branch)
    delete = run(sessions.Sessions.delete)
    state = Method(sessions.Sessions.state, SessionState)
    send = run(sessions.Sessions.send)
    reply = run(sessions.Sessions.reply)
    history = run(sessions.Sessions.history)
    search = run(sessions.Sessions.search)
    incoming = Method(sessions.Sessions.incoming, iterate_sync)
