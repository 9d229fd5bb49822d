"""What a client can read without a tool: one line for each resource.

A resource is the result of an operation that only reads. The parts of its URI in braces are fields
of the operation. Lines of operations that do not exist (yet) are left out.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from quorate.contracts.operations import AnyOperation
from quorate.contracts.registry import OPERATIONS
from quorate.domain.shared.records import record
from quorate.mcp_server.tools import Tool

MEDIA = "application/json"
_FIELD = re.compile(r"{(\w+)}")
# URI, name, operation. A URI without braces is a resource, another one is a template.
_TABLE = (
    ("quorate://leases", "Leases of all agents", "listLeases"),
    ("quorate://leases/{contactEmail}", "The lease on a contact", "listLeases"),
    ("quorate://consensus", "Consensus proposals", "listConsensus"),
    ("quorate://consensus/{consensusId}", "A consensus proposal", "getConsensus"),
    ("quorate://inbox", "Messages to the agent of the API key", "listInbox"),
    ("quorate://inbox/{agent_name}", "Messages to an agent", "listInbox"),
    ("quorate://sessions", "Sessions", "sessionsList"),
)


@record
class Resource:
    uri: str
    title: str
    tool: Tool  # Reads it; its name is that of the resource.

    @property
    def is_template(self) -> bool:
        return "{" in self.uri

    def match(self, uri: str) -> Mapping[str, Any] | None:
        """Return the fields in a URI, or None if it is not of this resource."""
        pattern = _FIELD.sub(r"(?P<\1>[^/?#]+)", self.uri)
        found = re.fullmatch(pattern, uri)
        return None if found is None else {k: unquote(v) for k, v in found.groupdict().items()}


def resources_of(operations: Iterable[AnyOperation]) -> tuple[Resource, ...]:
    by_name = {one.name: one for one in operations}
    return tuple(
        Resource(
            uri=uri,
            title=title,
            tool=Tool(name=_FIELD.sub(r"\1", uri.partition("://")[2]), operation=by_name[name]),
        )
        for uri, title, name in _TABLE
        if name in by_name
    )


RESOURCES = resources_of(OPERATIONS)


def find_resource(uri: object) -> tuple[Resource, Mapping[str, Any]] | None:
    """Return the resource of a URI, and the fields in it."""
    for resource in RESOURCES:
        if isinstance(uri, str) and (fields := resource.match(uri)) is not None:
            return resource, fields
    return None
