"""Why a command was declined. A refusal is an answer, not a failure.

A refusal changes no state. One that others must hear of (a lease conflict) carries the
event that records it in ``recorded``; that event grants nothing.

* Refused
  - NotFound          the thing named does not exist for this tenant
  - Forbidden         it exists, but not for this caller
  - Conflict          the present state says no; ask again when it has changed
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar


@dataclass(eq=False)
class DomainError(Exception):
    """The command was understood and declined; ``code`` is stable, ``facts`` say why."""

    code: ClassVar[str]

    @property
    def facts(self) -> dict[str, Any]:
        """What a caller is told besides the code, ready for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def recorded(self) -> Sequence[Any]:
        """Events that record the refusal itself."""
        return ()

    def __str__(self) -> str:
        return f"{self.code} {self.facts}"


class NotFound(DomainError):
    """Unknown and foreign are told apart nowhere, so that ids of other tenants stay unknown."""


class Forbidden(DomainError):
    """The caller may not do this, whatever the state."""


class Conflict(DomainError):
    """The caller may do this, but not now."""
