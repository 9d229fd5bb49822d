"""Decide which agents are notified of an event: rules from an event to its notifications.

* An agent is notified of what concerns it on its own subject; all agents of a tenant are notified
  of what they may act on.
* A notification carries the event's public data (camelCase, times in ISO 8601). Text that an agent
  wrote (an action, a reason) is passed on unchanged. It is data, never an instruction.
* Each context lists its rules by event type. ``NotificationRules`` joins them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, assert_never

from quorate.domain.shared.records import record

Data: TypeAlias = Mapping[str, Any]
EVERYONE = ""  # Stands for all agents of the tenant where recipients are named by their ids.


@record
class ToAgent:
    """One agent, on its own subject."""

    agent_id: str


@record
class ToAll:
    """Every agent of the tenant."""


Audience: TypeAlias = ToAgent | ToAll


@record
class Notification:
    audience: Audience
    name: str
    data: Data

    @property
    def recipient(self) -> str:
        """Return the id of the agent that is notified, or EVERYONE."""
        match self.audience:
            case ToAgent():
                return self.audience.agent_id
            case ToAll():
                return EVERYONE
            case _:
                assert_never(self.audience)

    def is_for(self, agent_id: str) -> bool:
        return self.recipient in (EVERYONE, agent_id)


@record
class Rule:
    """The notifications of one type of event, and the names that they may have.

    ``to`` names the field with the id of the one agent that each event notifies, where that is so:
    the recipient is then known without the notification.
    """

    names: tuple[str, ...]
    notify: Callable[[Data], Sequence[Notification]]
    to: str | None = None


Rules: TypeAlias = Mapping[str, Rule]  # By the type of event.


def to_all(name: str, *, without: str | None = None) -> Rule:
    """Notify every agent of the tenant; one field may be left out."""

    def notify(data: Data) -> Sequence[Notification]:
        public = {key: value for key, value in data.items() if key != without}
        return (Notification(audience=ToAll(), name=name, data=public),)

    return Rule(names=(name,), notify=notify)


class NotificationRules:
    """The rules of all contexts."""

    def __init__(self, *rules: Rules) -> None:
        self._rules = {type_: rule for each in rules for type_, rule in each.items()}
        self.event_types = frozenset(self._rules)
        self.names = frozenset(name for rule in self._rules.values() for name in rule.names)

    def notifications(self, type_: str, data: Data) -> Sequence[Notification]:
        """Return the notifications of one published event, in the order of sending."""
        rule = self._rules.get(type_)
        return rule.notify(data) if rule is not None else ()

    def recipients(self, type_: str, data: Data) -> frozenset[str]:
        """Return the ids of the agents that an event notifies, or EVERYONE."""
        rule = self._rules.get(type_)
        if rule is not None and rule.to is not None:
            return frozenset((data[rule.to],))
        return frozenset([one.recipient for one in self.notifications(type_, data)])
