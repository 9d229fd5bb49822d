"""Call a new operation over every interface of a running service, in a copy of the repository."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from quorate.api.documents import asyncapi_document
from quorate.api.openapi import openapi_document
from quorate.cli.operations.names import kebab_case
from quorate.client.request_builder import request_for
from quorate.client.transports.sync_http import Client
from quorate.contracts.operations import AnyOperation
from quorate.contracts.registry import OPERATIONS_BY_NAME
from quorate.contracts.wire_models import ResponseModel
from quorate.domain.shared.records import record
from tests.e2e.cli.cli_process import run_cli
from tests.e2e.service.http_clients import Agent, connect_operator
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.service_process import Json, run_service

CONTACT = "user@example.com"


def find_in_documents(name: str) -> Json:
    """Return the operation from the OpenAPI document; it must be in the AsyncAPI document too.

    This function alone knows the form of the documents.
    """
    assert name in str(asyncapi_document()["operations"]), f"{name} is not in AsyncAPI"
    methods = [one for path in openapi_document()["paths"].values() for one in path.values()]
    (found,) = [one for one in methods if isinstance(one, dict) and one.get("operationId") == name]
    return dict(found)


@record
class Scene:
    """A running service on which ``agent`` holds a lease, and ``other`` was rejected."""

    agent: Agent
    other: Agent
    lease_id: str


@asynccontextmanager
async def open_scene() -> AsyncIterator[Scene]:
    with (
        tempfile.TemporaryDirectory() as folder,
        run_service(Path(folder) / "data") as service,
    ):
        async with connect_operator(service) as operator:
            agent, other = await (await operator.create_tenant()).create_agents("ann", "bob")
            lease = await agent.lease(agent.id, CONTACT)
            await other.acquire(other.id, CONTACT)
            yield Scene(agent=agent, other=other, lease_id=lease["id"])


@record
class Arguments:
    """The ids in the path by their names there, and the members of the body."""

    ids: Mapping[str, str]
    body: Mapping[str, Any] | None = None


async def over_http(scene: Scene, operation: AnyOperation, arguments: Arguments) -> Json:
    path = operation.path.format(**arguments.ids)
    return await scene.agent.request_ok(operation.method, path, arguments.body)


async def over_nats(scene: Scene, operation: AnyOperation, arguments: Arguments) -> Json:
    agent = await NatsAgent.of(scene.agent)
    response = await agent.request_ok(operation.name, **_fields(arguments))
    return dict(response)


async def by_sdk(scene: Scene, operation: AnyOperation, arguments: Arguments) -> Json:
    def call() -> Json:
        with Client(scene.agent.operator.service.url, scene.agent.text) as client:
            request = request_for(operation, arguments.body, None, **arguments.ids)
            result = client.execute(request)
            assert isinstance(result, ResponseModel)
            return dict(result.raw)

    return await asyncio.to_thread(call)


async def by_command_line(scene: Scene, operation: AnyOperation, arguments: Arguments) -> Json:
    words = [
        word
        for name, value in _fields(arguments).items()
        for word in (f"--{kebab_case(name)}", str(value))
    ]
    target = {
        "QUORATE_URL": scene.agent.operator.service.url,
        "QUORATE_API_KEY": scene.agent.text,
    }
    found = await asyncio.to_thread(run_cli, "call", kebab_case(operation.name), *words, **target)
    assert found.code == 0, found.stderr
    return dict(orjson.loads(found.stdout))


def _fields(arguments: Arguments) -> dict[str, Any]:
    """Return all fields by their names in JSON."""
    ids = {f"{name.removesuffix('_id')}Id": value for name, value in arguments.ids.items()}
    return {**ids, **(arguments.body or {})}


INTERFACES: Mapping[str, Callable[..., Any]] = {
    "http": over_http,
    "nats": over_nats,
    "sdk": by_sdk,
    "command line": by_command_line,
}


async def call_everywhere(
    scene: Scene, name: str, arguments: Iterable[Arguments]
) -> Mapping[str, Json]:
    """Call the operation once over each interface, with the next arguments each time."""
    operation = OPERATIONS_BY_NAME[name]
    return {
        interface: await call(scene, operation, one)
        for (interface, call), one in zip(INTERFACES.items(), arguments, strict=True)
    }
