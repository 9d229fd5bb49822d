"""Log in and out: by API key, or by a link that works once; and the tenant of an admin key.

* A key is posted once. Failed attempts are limited by address, like those of the API, and a login
  counts as a command of its key.
* A link is a page with a button: programs that fetch links do not use it up, and no other site
  can log a browser in.
"""

from quorate.api.console.pages import html_response, redirect, render
from quorate.api.console.request import ConsoleRequest
from quorate.api.console.views.view import ROOT
from quorate.api.http_admission import require_principal
from quorate.api.request_reader import TOKEN_LENGTH_MAX
from quorate.api.responses import Response, reply_response
from quorate.application.console_sessions import SESSION_SECONDS, ConsoleSessions, Session
from quorate.application.execution import Service
from quorate.application.operations import Reply
from quorate.application.rate_limiter import COMMAND_RESERVE, caller_of
from quorate.application.rendering import dump
from quorate.contracts.problems import Problem
from quorate.domain.identity.principals import Principal

LOGIN = f"{ROOT}/login"
LINK = f"{ROOT}/link/"
_UNAUTHORIZED = 401


class SignIn:
    def __init__(self, service: Service, sessions: ConsoleSessions) -> None:
        self._service = service
        self._sessions = sessions

    def login_page(self, error: str = "", status: int = 200) -> Response:
        variables = {"title": "Log in", "error": error, "link": ""}
        return html_response(render("login.html", variables), status)

    async def log_in(self, request: ConsoleRequest) -> Response:
        request.require_own_origin()
        key = (await request.form()).get("key", "").strip()
        is_key = 0 < len(key) <= TOKEN_LENGTH_MAX and key.isascii()
        limiter = self._service.failed_login_limiter
        principal = await limiter.authenticate_http(key, request.scope) if is_key else None
        if principal is None:
            return self.login_page("This is no valid key.", _UNAUTHORIZED)
        self._count(principal)
        if request.cookie:
            await self._sessions.close(request.cookie)
        return self._enter(request, await self._sessions.open(principal))

    async def log_out(self, request: ConsoleRequest) -> Response:
        request.require_own_origin()
        await self._sessions.close(request.cookie)
        return redirect(LOGIN, (request.cookie_header("", 0),))

    async def create_link(self, request: ConsoleRequest) -> Response:
        """Answer a program that sends its key as it does to the API."""
        principal: Principal = await require_principal(
            self._service.failed_login_limiter.authenticate_http,
            request.headers,
            request.repeated,
            request.scope,
        )
        self._count(principal)
        path = LINK + await self._sessions.create_link(principal)
        return reply_response(Reply(body=dump({"path": path})), request.request_id)

    def link_page(self, secret: str) -> Response:
        return html_response(render("login.html", {"title": "Log in", "error": "", "link": secret}))

    async def use_link(self, request: ConsoleRequest) -> Response:
        request.require_own_origin()
        session = await self._sessions.redeem((await request.form()).get("link", ""))
        if session is None:
            text = "This link was used, or is older than a minute."
            return self.login_page(text, _UNAUTHORIZED)
        if request.cookie:
            await self._sessions.close(request.cookie)
        return self._enter(request, session)

    async def pick_tenant(self, request: ConsoleRequest, session: Session) -> Response:
        request.require_own_origin()
        tenant = (await request.form()).get("tenant", "")
        if not await self._service.reader.has_tenant(tenant):
            raise Problem("not_found", "There is no such tenant.")
        picked = await self._sessions.pick_tenant(session, tenant)
        return redirect(LOGIN) if picked is None else self._enter(request, picked)

    def _count(self, principal: Principal) -> None:
        """Count a login; raise Problem above the rate limit, or for a suspended tenant."""
        check = self._service.tenant_access.check
        check(principal.tenant, caller_of(principal), COMMAND_RESERVE)

    def _enter(self, request: ConsoleRequest, secret: str) -> Response:
        return redirect(f"{ROOT}/", (request.cookie_header(secret, SESSION_SECONDS),))
