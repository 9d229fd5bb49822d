"""The registry of all endpoints, and the ASGI application that routes requests to them.

A path that is not in the registry cannot be reached.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeAlias

from quorate.api import documents
from quorate.api.endpoint_app import EndpointApp, reject_unrouted
from quorate.application.execution import Service
from quorate.application.operations import HANDLERS
from quorate.application.rate_limiter import caller_of, reserve_for
from quorate.contracts.operations import AnyOperation
from quorate.contracts.problems import Problem
from quorate.contracts.registry import OPERATIONS
from quorate.domain.identity.principals import Principal
from quorate.runtime.asgi import Receive, Scope, Send

_PARAMETER = re.compile(r"{(\w+)}")
Methods: TypeAlias = Mapping[str, EndpointApp]  # By HTTP method.

ENDPOINTS: tuple[AnyOperation, ...] = (*OPERATIONS, *documents.ENDPOINTS)
ROUTED: tuple[AnyOperation, ...] = (*ENDPOINTS, documents.PAGE_ASSET)


class Application:
    """The ASGI application that serves the registry.

    A path without parameters is found without a search; most requests use such a path. It takes
    precedence over paths with parameters: only its own methods are tried.
    """

    def __init__(self, service: Service, endpoints: Sequence[AnyOperation] = ROUTED) -> None:
        self._unrouted_metrics = service.request_metrics.of("http")
        self._fixed: dict[str, Methods] = {}
        self._patterns: dict[re.Pattern[str], Methods] = {}
        for path, methods in _endpoint_apps(service, endpoints).items():
            if _PARAMETER.search(path):
                self._patterns[_pattern(path)] = methods
            else:
                self._fixed[path] = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        methods = self._fixed.get(scope["path"]) or self._search(scope)
        if methods is None:
            problem = Problem("not_found", "This path does not exist.")
            await reject_unrouted(scope, send, problem, self._unrouted_metrics)
        elif (app := methods.get(scope["method"])) is None:
            await reject_unrouted(scope, send, _not_allowed(methods), self._unrouted_metrics)
        else:
            await app(scope, receive, send)

    def _search(self, scope: Scope) -> Methods | None:
        """Find the methods of a path with parameters; their values are stored in the scope."""
        for pattern, methods in self._patterns.items():
            if (match := pattern.fullmatch(scope["path"])) is not None:
                scope["path_params"] = match.groupdict()
                return methods
        return None


def _endpoint_apps(service: Service, endpoints: Sequence[AnyOperation]) -> Mapping[str, Methods]:
    """Build the methods of each path. A path with GET also accepts HEAD."""
    apps: defaultdict[str, dict[str, EndpointApp]] = defaultdict(dict)
    for endpoint in endpoints:
        app = _endpoint_app(service, endpoint)
        apps[endpoint.path][endpoint.method] = app
        if endpoint.method == "GET":
            apps[endpoint.path]["HEAD"] = app
    return apps


def _pattern(path: str) -> re.Pattern[str]:
    """Compile a path; a parameter matches one path segment."""
    return re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", path))


def _endpoint_app(service: Service, endpoint: AnyOperation) -> EndpointApp:
    check, reserve = service.rate_limiter.check, reserve_for(endpoint)

    def limit(principal: Principal) -> None:
        check(principal.tenant, caller_of(principal), reserve)

    handler = partial(HANDLERS[endpoint.name], service)
    return EndpointApp(
        endpoint,
        handler,
        service.failed_login_limiter.authenticate_http,
        limit,
        metrics=service.request_metrics.of("http", endpoint.name, timed=not endpoint.streams),
        # Monitoring calls public endpoints every few seconds, and a stream lasts for hours.
        tracing=service.tracing if endpoint.roles and not endpoint.streams else None,
    )


def _not_allowed(methods: Methods) -> Problem:
    allowed = ", ".join(sorted(methods))
    return Problem("method_not_allowed", f"Allowed methods: {allowed}.", headers={"Allow": allowed})
