"""What an explanation is made of and what it says."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from quorate.domain.identity.principals import Principal
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext
from quorate.domain.shared.timestamps import Timestamp


@record
class LoggedEvent:
    """An event of one tenant with its place in the log."""

    sequence: int
    id: str
    at: Timestamp
    actor: str
    command_id: str
    event: Any

    @property
    def context(self) -> DecisionContext:
        """Return the context in which the event was decided, as far as the log knows it."""
        return DecisionContext(now=self.at, sequence=self.sequence, window=0)

    @property
    def caller(self) -> Principal:
        """Return a caller that may do what the caller of the command did."""
        return Principal(key_id=self.actor, role="tenant", tenant="")


History: TypeAlias = Sequence[LoggedEvent]
# Let the rule decide again, from a history; raises DomainError where the rule rejects.
Decide: TypeAlias = Callable[[History, LoggedEvent], Sequence[Any]]


@record
class Possible:
    """What can be done now, and under which condition."""

    action: str
    when: str


@record
class Account:
    """The rule that records one type of event.

    * ``rules``: one sentence for each reason of the event; the key "" is for all others.
    * ``decision`` uses the functions that decided at first. The explanation has no own rules.
    * ``reason`` names the reason of an event that has no field for it.
    * ``assumes`` are the reasons whose rule needs what no log has, such as an operator's option.
      The rule says what it is, and is decided as if it had been as the event says.
    * ``denies`` are the reasons that hold because something was never recorded: a rule that does
      not know all events cannot tell.
    """

    rules: Mapping[str, str]
    decision: Decide
    possible: tuple[Possible, ...]
    reason: Callable[[Any], str] = lambda event: str(getattr(event, "reason", ""))
    assumes: frozenset[str] = frozenset()
    denies: frozenset[str] = frozenset()

    def rule(self, event: object) -> str:
        return self.rules.get(self.reason(event), self.rules[""])

    def is_certain(self, event: object) -> bool:
        """Return whether the log has all that the rule needs."""
        return self.reason(event) not in self.assumes


@record
class Fact:
    """An event without which the rule would have decided otherwise."""

    kind: str
    text: str
    sequence: int
    at: Timestamp


@record
class Explanation:
    """What the causes of a decision are, and how sure that is.

    * ``is_reproduced``: the rule decides the same again from the events that were read.
    * ``is_complete``: it does, and needs nothing that is not in the log.
    """

    rule: str
    outcome: str
    facts: tuple[Fact, ...]
    possible: tuple[Possible, ...]
    is_reproduced: bool
    is_complete: bool
