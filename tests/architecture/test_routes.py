"""Every HTTP route is an operation that admits its callers, or is in the short public list.

The routes of MCP and of the console are the exceptions. ``tests/integration/api/`` shows that they
admit their callers in the same way (``test_mcp_admission.py``, ``console/``), and they reach only
operations.
"""

from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute

from quorate.api.app import create_app
from quorate.api.console.route import PATH as CONSOLE_PATH
from quorate.api.console.route import ConsoleEndpoint, ConsoleRoute
from quorate.api.documents import ENDPOINTS
from quorate.api.fast_lane import FastLane, create_fast_lane
from quorate.api.large_bodies import LargeBodies
from quorate.api.mcp.route import METHOD, PATH, McpEndpoint, McpRoute
from quorate.api.public_routes import PUBLIC
from quorate.api.routes import OperationRoute, public_path
from quorate.application.request_metrics import RequestMetrics
from quorate.contracts.registry import OPERATIONS
from quorate.mcp_server.resources import RESOURCES
from quorate.mcp_server.tools import PROFILES


def application() -> tuple[FastAPI, FastLane]:
    """Build the application with a service that is never called."""
    service: Any = SimpleNamespace(
        tenant_access=SimpleNamespace(check=None),
        failed_login_limiter=SimpleNamespace(authenticate_http=None),
        request_metrics=RequestMetrics(),
        tracing=None,
    )
    app = create_app(service)
    return app, create_fast_lane(app, service)


def mcp_routes(app: FastAPI) -> list[McpRoute]:
    return [route for route in app.router.routes if type(route) is McpRoute]


def console_routes(app: FastAPI) -> list[ConsoleRoute]:
    return [route for route in app.router.routes if type(route) is ConsoleRoute]


def ungated(app: FastAPI) -> list[BaseRoute]:
    """Return the routes that neither admit their callers nor are public on purpose."""
    return [
        route
        for route in app.router.routes
        if type(route) is not OperationRoute
        and route not in PUBLIC
        and route not in mcp_routes(app)[:1]
        and route not in console_routes(app)[:1]
    ]


def test_every_route_is_an_operation_or_public() -> None:
    app, _ = application()
    found = [route for route in app.routes if isinstance(route, OperationRoute)]

    assert ungated(app) == []
    assert [route.operation for route in found] == list(ENDPOINTS)
    for route in found:
        assert (route.path, route.methods) == (
            public_path(route.operation),
            {route.operation.method},
        )
    assert {route.path for route in PUBLIC} == {"/", "/healthz", "/static/{name:path}"}


def test_mcp_has_one_route_that_serves_one_method() -> None:
    app, lane = application()
    (route,) = mcp_routes(app)

    assert (route.path, route.methods) == (PATH, {METHOD})
    assert isinstance(route.app, McpEndpoint)
    assert PATH not in {public_path(one) for one in (*ENDPOINTS, *lane.operations)}


def test_console_has_one_route_below_its_path() -> None:
    app, _ = application()
    (route,) = console_routes(app)

    assert (route.path, type(route.app)) == (CONSOLE_PATH, ConsoleEndpoint)
    assert not [one for one in ENDPOINTS if public_path(one).startswith("/console")]


def test_mcp_reaches_only_operations_that_admit_their_callers() -> None:
    tools = [tool for profile in PROFILES.values() for tool in profile.tools]
    reached = [*(tool.operation for tool in tools), *(one.tool.operation for one in RESOURCES)]

    assert {one.name for one in reached} <= {one.name for one in ENDPOINTS if one.roles}


def test_application_has_no_pages_of_fastapi() -> None:
    app, _ = application()

    assert (app.openapi_url, app.user_middleware) == (None, [])


def plant_function(app: FastAPI) -> None:
    app.get("/planted")(lambda: "planted")


def plant_starlette_function(app: FastAPI) -> None:
    app.router.add_route("/planted", lambda _: Response())


def plant_router(app: FastAPI) -> None:
    router = APIRouter(prefix="/planted")
    router.get("/inside")(lambda: "planted")
    app.include_router(router)


def plant_mount(app: FastAPI) -> None:
    app.mount("/planted", Starlette())


def plant_websocket(app: FastAPI) -> None:
    async def planted(socket: WebSocket) -> None:
        await socket.accept()

    app.websocket("/planted")(planted)


def plant_second_mcp_route(app: FastAPI) -> None:
    service: Any = SimpleNamespace()
    app.router.routes.append(McpRoute(service, LargeBodies()))


def plant_host(app: FastAPI) -> None:
    app.host("planted.example.com", Starlette())


def plant_function_on_a_public_path(app: FastAPI) -> None:
    app.router.add_route("/healthz", lambda _: Response())


def plant_function_on_the_path_of_an_operation(app: FastAPI) -> None:
    """The first route of a path serves it."""
    app.get(public_path(ENDPOINTS[0]))(lambda: "planted")
    app.router.routes.insert(0, app.router.routes.pop())


PLANTS = [
    *(plant_function, plant_starlette_function, plant_router, plant_mount, plant_websocket),
    *(
        plant_host,
        plant_second_mcp_route,
        plant_function_on_a_public_path,
        plant_function_on_the_path_of_an_operation,
    ),
]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_planted_route_is_found(plant: Any) -> None:  # noqa: ANN401 - a function above.
    app, _ = application()
    plant(app)

    assert len(ungated(app)) == 1


def test_fast_lane_serves_a_subset_of_the_operations() -> None:
    app, lane = application()
    served = {route.operation.name for route in app.routes if isinstance(route, OperationRoute)}

    assert {one.name for one in lane.operations} == {one.name for one in OPERATIONS if one.hot}
    assert {one.name for one in lane.operations} < served
