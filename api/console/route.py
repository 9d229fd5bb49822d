"""``/console``: the one route of the console. Every page is for a session, except the login.

* A request that changes state needs the cookie and the origin of this host.
* Pages call operations only (``caller.py``): their roles, limits and tenants apply.
"""

import re
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from starlette.routing import Route

from quorate.api.connection_owner import claim_connection
from quorate.api.console.actions import find_action
from quorate.api.console.caller import BY_NAME, Caller
from quorate.api.console.live import END, stream_page
from quorate.api.console.live_elements import LiveElements
from quorate.api.console.pages import (
    SECURITY_HEADERS,
    html_response,
    keep_moment,
    redirect,
    render,
)
from quorate.api.console.request import ConsoleRequest
from quorate.api.console.shown_agents import find_agents
from quorate.api.console.sign_in import LINK, LOGIN, SignIn
from quorate.api.console.views.registry import VIEWS
from quorate.api.console.views.view import AS_OF, ROOT, Place, View
from quorate.api.http_admission import sent_id
from quorate.api.responses import Response, send_response
from quorate.application.admission import RequestLogEntry, attempt, request_id
from quorate.application.console_sessions import ConsoleSessions, Session
from quorate.application.execution import Service
from quorate.application.operations import Call
from quorate.contracts.problems import KINDS, Problem
from quorate.projections.agent_names import AgentNames
from quorate.runtime.asgi import Receive, Scope, Send

PATH = ROOT + "{rest:path}"
METHODS = ("GET", "HEAD", "POST")
LIVE = f"{ROOT}/live"


class ConsoleRoute(Route):
    def __init__(self, service: Service) -> None:
        super().__init__(
            PATH,
            ConsoleEndpoint(service),
            methods=list(METHODS),
            name="console",
            include_in_schema=False,
        )


class ConsoleEndpoint:
    """An ASGI application."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._sessions: ConsoleSessions | None = None
        self._names: AgentNames | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        entry = RequestLogEntry(
            "console",
            {"method": scope["method"], "path": _logged(scope["path"])},
            request_id(sent_id(scope["headers"])),
            self._service.request_metrics.of("console"),
        )
        request = ConsoleRequest(scope, receive, entry.request_id)
        call = Call({}, request.headers)
        response = await attempt(self._respond(request, call), call, entry)
        if isinstance(response, Problem):
            response = self._problem_page(request, response, call)
        else:
            status = response.status if isinstance(response, Response) else HTTPStatus.OK
            entry.record_success(status)
        if isinstance(response, Response):
            headers = [*response.headers, (b"x-request-id", request.request_id.encode())]
            body = b"" if request.method == "HEAD" else response.body
            await send_response(scope, send, Response(response.status, headers, body))
        else:
            await _send_stream(response, send)

    # -- Finding the page ----------------------------------------------------

    async def _respond(
        self, request: ConsoleRequest, call: Call
    ) -> "Response | AsyncGenerator[bytes]":
        """Return a response, or the frames of a stream; raise Problem."""
        sessions = self._sessions = self._sessions or ConsoleSessions(self._service)
        sign_in = SignIn(self._service, sessions)
        if (response := await _respond_without_session(sign_in, request)) is not None:
            return response
        session = await sessions.find(request.cookie)
        if session is None:
            return _log_in_first(request)
        call.principal = session.principal
        claim_connection(request.scope, session.principal)
        if request.path == f"{ROOT}/tenant" and request.method == "POST":
            return await sign_in.pick_tenant(request, session)
        return await self._respond_to(request, session, sessions)

    async def _respond_to(
        self, request: ConsoleRequest, session: Session, sessions: ConsoleSessions
    ) -> "Response | AsyncGenerator[bytes]":
        caller, path = self._caller(request, session), request.path
        if path.startswith(f"{ROOT}/actions/"):
            return await self._act(request, caller)
        if request.method == "POST":
            raise Problem("method_not_allowed", "A page is read with GET.")
        if path == f"{ROOT}/tenants" or not session.tenant:
            return await self._tenants_page(caller)
        is_stream = path.startswith(LIVE + "/")
        view, place = _find_view(path.removeprefix(LIVE if is_stream else ROOT), request)
        if is_stream and not (view.is_live and not place.as_of):
            raise Problem("not_found", "This page has no stream.")
        if not is_stream:
            caller = self._caller(request, session, place.as_of)
            return html_response(await self._page(view, place, caller, LiveElements()))
        return stream_page(
            self._service,
            sessions,
            request,
            session,
            partial(self._elements, view, place, request),
        )

    async def _elements(
        self, view: View, place: Place, request: ConsoleRequest, session: Session
    ) -> Mapping[str, str]:
        collected = LiveElements()
        await self._page(view, place, self._caller(request, session), collected)
        return collected.found

    def _caller(self, request: ConsoleRequest, session: Session, as_of: str = "") -> Caller:
        return Caller(
            self._service,
            session,
            request_id=request.request_id,
            receive=request.receive,
            as_of=as_of,
        )

    # -- Pages ---------------------------------------------------------------

    async def _page(self, view: View, place: Place, caller: Caller, collected: LiveElements) -> str:
        if not _is_for(view, caller):
            role = caller.session.principal.role
            raise Problem("role_forbidden", f"Keys of role {role} have no such page.", role=role)
        moment = await caller.find_moment()
        loaded = await view.load(caller, place)
        shared = self._shared(caller, view, place, collected)
        names = await self._names_in(loaded, caller)
        page = render(view.template, {**shared, "past": moment, "names": names, **loaded})
        return page if moment is None else keep_moment(page, place.as_of)

    async def _names_in(self, loaded: object, caller: Caller) -> Mapping[str, str]:
        """Return the names of the agents of a page. The name of an id never changes."""
        if not caller.may_call("listAgents"):
            return {}
        names = self._names = self._names or AgentNames(self._service.log)
        return await names.look_up_all(caller.session.tenant, find_agents(loaded))

    def _shared(
        self,
        caller: Caller,
        view: View | None = None,
        place: Place | None = None,
        collected: LiveElements | None = None,
    ) -> dict[str, Any]:
        """Return the variables that every page of a session has."""
        own = caller.session
        has_stream = view is not None and view.is_live and not caller.as_of

        def action(operation: str) -> Any:  # noqa: ANN401 - an Action or None.
            return None if caller.as_of else find_action(caller, operation)

        return {
            "view": view,
            "place": place,
            "title": "Console" if view is None else view.title,
            "session": own,
            "navigation": [one for one in VIEWS if one.in_navigation and _is_for(one, caller)]
            if own.tenant
            else [],
            "now": caller.now,
            "past": None,
            "head": caller.head,
            "reasons_of_now": caller.reasons.values(),
            "action_for": action,
            "may_explain": caller.may_call("explain"),
            "live": (collected or LiveElements()).live,
            "stream": LIVE + place.link().removeprefix(ROOT) if place and has_stream else "",
        }

    async def _tenants_page(self, caller: Caller) -> Response:
        if caller.session.principal.role != "admin":
            raise Problem("role_forbidden", "Only an admin key picks a tenant.", role="admin")
        found = await caller.call(BY_NAME["listTenants"], {}, query={"limit": 1_000})
        variables = {**self._shared(caller), "title": "Tenants", "tenants": found.body}
        return html_response(render("tenants.html", variables))

    # -- Actions -------------------------------------------------------------

    async def _act(self, request: ConsoleRequest, caller: Caller) -> Response:
        action = find_action(caller, request.path.removeprefix(f"{ROOT}/actions/"))
        if action is None:
            raise Problem("not_found", "There is no such action for this key.")
        if request.method == "POST":
            request.require_own_origin()
            fields = await request.form()
        else:
            fields = request.query
        id_, back = fields.get("id", ""), _back(fields.get("back", ""))
        reason, error = fields.get("reason", "").strip(), ""
        if request.method == "POST":
            if not reason:
                error = "Say why: the log records the reason."
            else:
                try:
                    await action.perform(caller, id_, reason)
                except Problem as problem:
                    error = problem.detail
                else:
                    return redirect(back)
        variables = {"action": action, "id": id_, "back": back, "error": error, "reason": reason}
        page = {**self._shared(caller), "title": action.label, **variables}
        status = HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK
        return html_response(render("action.html", page), status)

    def _problem_page(self, request: ConsoleRequest, problem: Problem, call: Call) -> Response:
        title = KINDS[problem.code].title
        variables = {
            "title": title,
            "detail": problem.detail,
            "code": problem.code,
            "request_id": request.request_id,
            "present": _present(request),
            "is_logged_in": call.principal is not None,
        }
        sent = tuple((n.lower().encode(), v.encode()) for n, v in problem.headers.items())
        return html_response(render("problem.html", variables), problem.status, sent)


async def _respond_without_session(sign_in: SignIn, request: ConsoleRequest) -> Response | None:
    """Respond to what needs no session: the login and the logout."""
    path = request.path.removeprefix(ROOT)
    if request.method == "POST":
        forms = {
            "/login": sign_in.log_in,
            "/links": sign_in.create_link,
            "/link": sign_in.use_link,
            "/logout": sign_in.log_out,
        }
        return await forms[path](request) if path in forms else None
    if request.path.startswith(LINK):
        return sign_in.link_page(request.path.removeprefix(LINK))
    if path == "/login":
        return sign_in.login_page()
    return redirect(f"{ROOT}/") if not path else None


def _is_for(view: View, caller: Caller) -> bool:
    return all(caller.may_call(name) for name in view.needs)


def _find_view(path: str, request: ConsoleRequest) -> tuple[View, Place]:
    """Return the view of a path; raise Problem."""
    for view in VIEWS:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(view.path))
        if found := re.fullmatch(pattern, path):
            known = {*view.filters, AS_OF}
            query = {name: value for name, value in request.query.items() if name in known}
            return view, Place(path=path, ids=found.groupdict(), query=query)
    raise Problem("not_found", "The console has no such page.")


def _present(request: ConsoleRequest) -> str:
    """Return the URL of the same page in the present, "" if the request is not of the past."""
    query = request.query
    if request.method == "POST" or not query.pop(AS_OF, ""):
        return ""
    return quote(request.path) + (f"?{urlencode(query)}" if query else "")


def _log_in_first(request: ConsoleRequest) -> "Response | AsyncGenerator[bytes]":
    if request.path.startswith(LIVE + "/"):
        return _ended()
    if request.method == "POST":
        raise Problem("unauthorized", "The session ended: log in again.")
    return redirect(LOGIN)


async def _ended() -> AsyncGenerator[bytes]:
    yield END


def _back(sent: str) -> str:
    """Return where a form returns to: a page of the console, whatever was sent."""
    is_page = sent.startswith(f"{ROOT}/") and sent.isascii() and sent.isprintable()
    return sent if is_page and "//" not in sent and "\\" not in sent else f"{ROOT}/"


def _logged(path: str) -> str:
    """Return the path without the secret of a link."""
    return LINK + "..." if path.startswith(LINK) else path


async def _send_stream(frames: AsyncGenerator[bytes], send: Send) -> None:
    media = (b"content-type", b"text/event-stream; charset=utf-8")
    headers = [media, (b"x-accel-buffering", b"no"), *SECURITY_HEADERS]
    await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
    try:
        async for frame in frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
    finally:
        await frames.aclose()
    await send({"type": "http.response.body", "body": b""})
