"""A NATS client that knows only the AsyncAPI document and an API key.

The document gives it the connection, the subjects of operations, the inbox for responses, the form
of problems, and the subjects of notifications. Every message that it sends or receives must match
its description.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
from nats.aio.msg import Msg

from quorate.domain.identity.principals import Role
from tests.e2e.service.http_clients import IssuedKey, Tenant
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import Json
from tests.support.nats_client import Client

RESPONSE_SECONDS_MAX = 60.0


class OperationRejected(Exception):
    def __init__(self, problem: Json) -> None:
        super().__init__(problem["code"])
        self.problem = problem


class Document:
    """The content of /asyncapi.json."""

    def __init__(self, read: Json) -> None:
        self.all = read

    def at(self, ref: Json) -> Any:  # noqa: ANN401 - any part of it.
        found: Any = self.all
        for name in ref["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return found

    def messages(self, refs: list[Json]) -> list[Json]:
        return [self.at(self.at(ref)) for ref in refs]

    def check(self, message: Json, payload: object, headers: Json) -> None:
        """Validate a message against its description; raises ValidationError."""
        for schema, value in ((message["payload"], payload), (message["headers"], headers)):
            complete = {"components": self.all["components"], "allOf": [schema]}
            jsonschema_rs.Draft202012Validator(complete).validate(value)


@asynccontextmanager
async def documented_clients(
    tenant: Tenant, *names: str
) -> AsyncIterator[list["DocumentedClient"]]:
    """Connected but unregistered clients, one per agent name."""
    document = Document((await tenant.http.get("/asyncapi.json")).json())
    clients = [DocumentedClient(document, await tenant.issue("agent", name)) for name in names]
    try:
        for one in clients:
            await one.connect(tenant.operator.service.nats_url)
        yield clients
        assert [one.faults for one in clients] == [[] for _ in clients]
    finally:
        for one in clients:
            await one.client.close()


class DocumentedClient:
    """A client that works only from the document and its key."""

    def __init__(self, document: Document, issued: IssuedKey) -> None:
        self.document = document
        self.issued = issued
        self.received: list[Json] = []
        self.faults: list[
            Exception
        ] = []  # Messages that do not match their description, and permission errors.
        self.client = Client()

    async def connect(self, url: str) -> None:
        """Connect to the given address; the document describes the protocol and the security."""
        there = urlsplit(url)
        server = self.document.all["servers"]["nats"]
        address = server["host"].format(host=there.hostname, port=there.port)
        scheme = self.document.at(server["security"][0])
        assert (scheme["type"], scheme["in"]) == ("apiKey", "user")
        inbox = self.fill_in(self.document.all["channels"]["inbox"])
        await self.client.connect(
            f"{server['protocol']}://{address}",
            token=self.issued.text,
            inbox_prefix=inbox.partition(".")[0],
            error_cb=self._on_error,
            allow_reconnect=False,
        )

    async def _on_error(self, fault: Exception) -> None:
        self.faults.append(fault)

    def fill_in(self, channel: Json) -> str:
        """Return the subject of a channel with its parameters replaced."""
        known = {"tenant": self.issued.tenant, "agentId": self.issued.agent_id, "inboxToken": ">"}
        assert set(channel["parameters"]) <= {*known, "eventType"}
        return str(re.sub(r"{(\w+)}", lambda found: known.get(found[1]) or "*", channel["address"]))

    async def request(self, operation: str, /, **fields: object) -> Json:
        description = self.document.all["operations"][operation]
        [request] = self.document.messages(description["messages"])
        response, problem = self.document.messages(description["reply"]["messages"])
        self.document.check(request, fields, {})
        reply = await self.client.request(
            self.fill_in(self.document.at(description["channel"])),
            json.dumps(fields).encode(),
            timeout=RESPONSE_SECONDS_MAX,
        )
        headers, payload = dict(reply.headers or {}), json.loads(reply.data)
        is_problem = set(problem["headers"]["required"]) <= headers.keys()
        self.document.check(problem if is_problem else response, payload, headers)
        if is_problem:
            raise OperationRejected(payload)
        return dict(payload) if isinstance(payload, dict) else {"listed": payload}

    async def subscribe_to_all(self, role: Role = "agent") -> None:
        """Subscribe to every subject that a key of this role may read."""
        for name, described in self.document.all["operations"].items():
            if described["action"] == "send" and role in described["x-quorate-roles"]:
                [message] = self.document.messages(described["messages"])
                await self._subscribe(name, self.document.at(described["channel"]), message)
        await self.client.flush()

    async def _subscribe(self, name: str, channel: Json, described: Json) -> None:
        async def on_message(message: Msg) -> None:
            payload = json.loads(message.data)
            self.received.append({"name": name, **payload})
            self.document.check(described, payload, dict(message.headers or {}))

        await self.client.subscribe(self.fill_in(channel), cb=on_message)

    async def notification(self, name: str) -> Json:
        """Wait for the first notification of this name."""
        await wait_until(lambda: name in self.names())
        return next(one for one in self.received if one["name"] == name)

    def names(self) -> set[str]:
        return {one["name"] for one in self.received}
