"""Domain errors: the reasons for which a command is rejected. A rejection is a result.

A rejection changes no state. One that others must be notified of (a lease conflict) carries the
event that records it in ``recorded``; that event grants nothing.

* DomainError
  - NotFound          what the command names does not exist for this tenant
  - Forbidden         it exists, but not for this caller
  - Conflict          the present state forbids it; try again when it has changed
  - Invalid           a value has no meaning, whatever the state
  - LimitReached      the tenant has all that it may have

Each error is declared once, as one class: ``code``, ``title`` and its fields. Problem documents,
API documents, exceptions of the SDK and exit codes are made from it. What a person needs of the
fields is in ``reason``: the detail of a problem is the title and the reason, or ``detail``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from quorate.domain.shared.timestamps import Timestamp, iso


@dataclass(eq=False)
class DomainError(Exception):
    """The command was understood and rejected; ``code`` is stable, ``details`` say why."""

    code: ClassVar[str]
    title: ClassVar[str]  # One for all errors of this code, without a period.
    reason: ClassVar[str] = ""  # Of this error: names of fields in braces. Without a period.
    # The whole sentence in place of title and reason, where a seed prints it. Fields as in reason.
    detail: ClassVar[str] = ""

    @property
    def details(self) -> Mapping[str, Any]:
        """Machine-readable fields of the problem document, ready for JSON."""
        return {
            field.name: iso(getattr(self, field.name))
            if field.type is Timestamp
            else getattr(self, field.name)
            for field in fields(self)
        }

    @property
    def recorded(self) -> Sequence[Any]:
        """Events that record the rejection itself."""
        return ()

    def __str__(self) -> str:
        return f"{self.code} {self.details}"


class NotFound(DomainError):
    """Unknown and foreign ids give the same answer, so ids of other tenants stay unknown."""


class Forbidden(DomainError):
    """The caller may not do this, whatever the state."""


class Conflict(DomainError):
    """The caller may do this, but not now."""


class Invalid(DomainError):
    """A value that no state makes acceptable."""


class LimitReached(DomainError):
    """A further one is above a limit; the existing ones stay."""
