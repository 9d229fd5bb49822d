"""What the state machines have in common: a story and its naive double, told in step.

Time moves by steps and to the very millisecond at which something changes by itself.
"""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from quorate.domain.agents import SettleAgent
from quorate.domain.commands import Command
from quorate.domain.instants import Instant
from tests.domain.cast import heartbeat, id_of, register
from tests.domain.naive import Naive, Told
from tests.spec import NOON, Answer, Story

WINDOW = 60_000
NAMES = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida")
AGENTS_MAX = len(NAMES)

# Taken modulo what there is to choose from, so that every draw means something.
choices = st.integers(0, 359)
steps = st.sampled_from([1, 199, 200, 1_000, 20_000, 40_000, WINDOW, WINDOW + 1, 3 * WINDOW])


class Playing(RuleBasedStateMachine):
    """Every rule asks both; both must say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story(window=WINDOW)
        self.naive = Naive(window=WINDOW)
        self.now = NOON
        self.names: Sequence[str] = NAMES

    @initialize(n=st.integers(1, AGENTS_MAX), absent=st.integers(0, 3))
    def begin(self, n: int, absent: int) -> None:
        """Most agents are there from the beginning, the others may join."""
        self.names = NAMES[:n]
        for name in NAMES[: n - absent]:
            self.story.ask(register(name), self.now)
            self.naive.register(name, self.now)

    def name(self, choice: int) -> str:
        return self.names[choice % len(self.names)]

    def ask(self, command: Command) -> Answer:
        return self.story.ask(command, self.now)

    # -- Time and agents -----------------------------------------------------

    @rule(step=steps)
    def time_passes(self, step: int) -> None:
        self.now = Instant(self.now + step)

    @rule(which=choices, nudge=st.sampled_from([-1, 0, 1]))
    def time_comes(self, which: int, nudge: int) -> None:
        """To one of the next moments that matter, or a millisecond beside it."""
        moments = self.naive.moments(self.now)[:AGENTS_MAX]
        if moments:
            moment = moments[which % len(moments)]
            self.now = Instant(max(self.now, moment + nudge))

    @rule(who=choices)
    def registers(self, who: int) -> None:
        name = self.name(who)
        known = id_of(name) in self.story.situation.agents
        answer = self.ask(register(name))
        assert answer.declined is None
        told = "reregistered" if known else "registered"
        assert (told,) == self.naive.register(name, self.now)

    @rule(who=choices)
    def is_heard_of(self, who: int) -> None:
        name = self.name(who)
        answer = self.ask(heartbeat(name))
        told = refused(answer) or (("heard",) if answer.decided else ("nothing",))
        assert told == self.naive.heartbeat(name, self.now)

    @rule(silent=choices)
    def all_but_one_are_heard_of(self, silent: int) -> None:
        for name in self.names:
            if name != self.name(silent):
                told = self.ask(heartbeat(name))
                assert (refused(told) is not None) == (not self.naive.beats(name))
                self.naive.heartbeat(name, self.now)

    @rule(who=choices)
    def the_timer_comes_for_an_agent(self, who: int) -> None:
        name = self.name(who)
        self.ask(SettleAgent(agent_id=id_of(name)))
        agent = self.story.situation.agents.get(id_of(name))
        active = agent is not None and agent.status == "active"
        assert active == self.naive.active(name, self.now)

    def who_is_active(self) -> None:
        active = {id_of(name) for name in self.naive.all_active(self.now)}
        assert self.story.situation.active_agents(self.now) == active


def refused(answer: Answer) -> Told | None:
    """A refusal as the naive double tells it; None when there was none."""
    return (answer.declined.kind.code,) if answer.declined else None
