"""Logs of one tenant, and what is explained of them, for the tests of explanations."""

from collections.abc import Sequence

from quorate.domain.explanations.accounts import ACCOUNTS
from quorate.domain.explanations.causes import decide_again, find_causes, is_reproduced
from quorate.domain.explanations.explain import explain
from quorate.domain.explanations.histories import select_instances
from quorate.domain.explanations.records import Explanation, LoggedEvent
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.specification import NOON, WINDOW, Scenario


class RecordedLog:
    """Execute commands through the domain, and keep their events as the log does."""

    def __init__(self, *, window: int = WINDOW) -> None:
        self.scenario = Scenario(window=window)
        self.events: list[LoggedEvent] = []
        self.now = NOON
        self._commands = 0

    def wait(self, milliseconds: int) -> None:
        self.now = Timestamp(self.now + milliseconds)

    def do(self, *commands: Command, actor: str = "keytenant") -> None:
        """Execute commands; what they reject is in no log."""
        for command in commands:
            self._commands += 1
            for event in self.scenario.execute(command, self.now).events:
                sequence = len(self.events) + 1
                self.events.append(
                    LoggedEvent(
                        sequence=sequence,
                        id=f"event-{sequence}",
                        at=self.now,
                        actor=actor,
                        command_id=f"command-{self._commands}",
                        event=event,
                    )
                )

    def explain(self, type_: type[object]) -> Explanation:
        """Explain the last event of this type; it must have an account that decides the same."""
        at = max(at for at, one in enumerate(self.events) if isinstance(one.event, type_))
        found = explain(self.events[:at], self.events[at])
        assert found.is_reproduced, self.events[at]
        return found

    def names_of_facts(self, found: Explanation) -> list[str]:
        """Return the types of the facts of an explanation, in log order."""
        return [type(self.events[one.sequence - 1].event).__name__ for one in found.facts]


def assert_facts_are_causes(
    log: Sequence[LoggedEvent], only: tuple[type[object], ...] | type[object] = object
) -> None:
    """Check each explained event: its facts are enough, and none of them can be left out."""
    for at, decision in enumerate(log):
        account = ACCOUNTS.get(type(decision.event))
        if account is None or not isinstance(decision.event, only):
            continue
        history = select_instances(log[:at], decision)
        causes = find_causes(account, history, decision)
        assert causes, decision
        expected = decide_again(account.decision, history, decision)
        assert is_reproduced(expected, decision)
        assert decide_again(account.decision, causes, decision) == expected
        for cause in causes:
            without = [one for one in causes if one is not cause]
            assert decide_again(account.decision, without, decision) != expected
