"""Contents, and commands that carry them."""

from collections.abc import Sequence
from typing import Any

from quorate.domain.coordination.leases import LeaseReleased
from quorate.domain.shared.aggregates import Event, Reads
from quorate.domain.shared.contents import SALT_BYTES, Content
from quorate.domain.shared.records import record
from quorate.domain.shared.state import Command, DecisionContext, TenantState
from tests.unit.support.sample_commands import KIM

ID = KIM.key  # The stream of a lease is named after its contact.


def content(part: str = "text", data: bytes = b"hello", *, id_: str = ID, salt: int = 1) -> Content:
    return Content(id=id_, part=part, salt=bytes([salt]) * SALT_BYTES, data=data)


@record
class WithContents:
    """Any command, with contents."""

    command: Command
    given: tuple[Content, ...]

    def reads(self) -> Reads:
        return self.command.reads()

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        return self.command.decide(state, context)

    def result(self, state: TenantState, events: Sequence[Event]) -> Any:  # noqa: ANN401 - its own.
        return self.command.result(state, events)

    def contents(self) -> Sequence[Content]:
        return self.given


def with_contents(command: Command, *contents: Content) -> WithContents:
    return WithContents(command=command, given=contents or (content(),))


# For ``Schema.erases``: the end of a lease erases what was stored with it.
ERASES = (LeaseReleased, lambda event: event.contact_key)
