"""A stranger: has the AsyncAPI document and a key, and speaks NATS. Nobody told it anything else.

It works out of the document where to connect and how, on which subject an operation is asked for,
where answers arrive, how a problem is told, and where a notification is heard. Whatever it sends and
hears must be as it is described.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
from nats.aio.msg import Msg

from quorate.domain.identity.api_keys import Role
from tests.e2e.service.http_clients import IssuedKey, Tenant
from tests.e2e.service.nats_listener import until
from tests.e2e.service.service_process import Json
from tests.support.nats_client import Client

ANSWER_SECONDS_MAX = 20.0


class Refused(Exception):
    def __init__(self, problem: Json) -> None:
        super().__init__(problem["code"])
        self.problem = problem


class Document:
    """What was read at /asyncapi.json, and nothing besides."""

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
        """Raises unless a message is as its description says."""
        for schema, value in ((message["payload"], payload), (message["headers"], headers)):
            whole = {"components": self.all["components"], "allOf": [schema]}
            jsonschema_rs.Draft202012Validator(whole).validate(value)


@asynccontextmanager
async def strangers_of(tenant: Tenant, *names: str) -> AsyncIterator[list["Stranger"]]:
    """Agents of a tenant, each with the document and a key, connected and not registered yet."""
    document = Document((await tenant.http.get("/asyncapi.json")).json())
    strangers = [Stranger(document, await tenant.issue("agent", name)) for name in names]
    try:
        for stranger in strangers:
            await stranger.connect(tenant.operator.service.nats_url)
        yield strangers
        assert [stranger.faults for stranger in strangers] == [[] for _ in strangers]
    finally:
        for stranger in strangers:
            await stranger.client.close()


class Stranger:
    """Speaks NATS, has read the document, and knows its key."""

    def __init__(self, document: Document, issued: IssuedKey) -> None:
        self.document = document
        self.issued = issued
        self.heard: list[Json] = []
        self.faults: list[Exception] = []  # What was not as it is described, or not allowed.
        self.client = Client()

    async def connect(self, url: str) -> None:
        """Where the server is, somebody has to say; how to reach it is in the document."""
        there = urlsplit(url)
        server = self.document.all["servers"]["nats"]
        address = server["host"].format(host=there.hostname, port=there.port)
        scheme = self.document.at(server["security"][0])
        assert (scheme["type"], scheme["in"]) == ("apiKey", "user")
        inbox = self.filled_in(self.document.all["channels"]["inbox"])
        await self.client.connect(
            f"{server['protocol']}://{address}",
            token=self.issued.text,
            inbox_prefix=inbox.partition(".")[0],
            error_cb=self._on_error,
            allow_reconnect=False,
        )

    async def _on_error(self, fault: Exception) -> None:
        self.faults.append(fault)

    def filled_in(self, channel: Json) -> str:
        """The subject of a channel, with what is explained about its parameters put in."""
        known = {"tenant": self.issued.tenant, "agentId": self.issued.agent_id, "inboxToken": ">"}
        assert set(channel["parameters"]) <= {*known, "eventType"}
        return str(re.sub(r"{(\w+)}", lambda found: known.get(found[1]) or "*", channel["address"]))

    async def ask(self, operation: str, **fields: object) -> Json:
        described = self.document.all["operations"][operation]
        [request] = self.document.messages(described["messages"])
        answer, problem = self.document.messages(described["reply"]["messages"])
        self.document.check(request, fields, {})
        reply = await self.client.request(
            self.filled_in(self.document.at(described["channel"])),
            json.dumps(fields).encode(),
            timeout=ANSWER_SECONDS_MAX,
        )
        headers, payload = dict(reply.headers or {}), json.loads(reply.data)
        is_problem = set(problem["headers"]["required"]) <= headers.keys()
        self.document.check(problem if is_problem else answer, payload, headers)
        if is_problem:
            raise Refused(payload)
        return dict(payload) if isinstance(payload, dict) else {"listed": payload}

    async def hear_everything(self, role: Role = "agent") -> None:
        """Every subject on which the service says something that this key may hear."""
        for name, described in self.document.all["operations"].items():
            if described["action"] == "send" and role in described["x-quorate-roles"]:
                [message] = self.document.messages(described["messages"])
                await self._hear(name, self.document.at(described["channel"]), message)
        await self.client.flush()

    async def _hear(self, name: str, channel: Json, described: Json) -> None:
        async def on_message(message: Msg) -> None:
            payload = json.loads(message.data)
            self.heard.append({"name": name, **payload})
            self.document.check(described, payload, dict(message.headers or {}))

        await self.client.subscribe(self.filled_in(channel), cb=on_message)

    async def notification(self, name: str) -> Json:
        """The first notification of this name, as soon as it is there."""
        await until(lambda: name in self.names())
        return next(one for one in self.heard if one["name"] == name)

    def names(self) -> set[str]:
        return {one["name"] for one in self.heard}
