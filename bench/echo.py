"""The bare HTTP stack: the same server parses and returns a body, without keys and database."""

import asyncio
import sys

import uvicorn
import uvloop
from pydantic import BaseModel, ConfigDict
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    tenantId: str | None = None  # noqa: N815 - the JSON field.
    agentId: str | None = None  # noqa: N815
    agentName: str | None = None  # noqa: N815
    contactEmail: str  # noqa: N815
    intent: str = "general"
    durationMinutes: float = 30  # noqa: N815


async def echo(request: Request) -> Response:
    body = Body.model_validate_json(await request.body())
    return Response(body.model_dump_json(), media_type="application/json")


async def main(port: int) -> None:
    application = Starlette(routes=[Route("/v1/agent/coordination/lease", echo, methods=["POST"])])
    config = uvicorn.Config(
        application,
        port=port,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1])))
