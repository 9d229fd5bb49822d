"""What the state machines have in common: a story and its naive double, told in step.

Time moves by steps and to the very millisecond at which something changes by itself.
"""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from quorate.domain.identity.agents import AGENTS, active_agents
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.reference_model import Naive, Told
from tests.unit.support.scenario import heartbeat, id_of, register
from tests.unit.support.specification import NOON, Answer, Story

WINDOW = 60_000
NAMES = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida")
AGENTS_MAX = len(NAMES)
DEEDS_PER_RULE = 12
HALF = 0.5
STRANGER_EVERY = 20
ANYONE_EVERY = 5
LATEST_MAX = 3
MOMENTS_MAX = 4  # To choose from: time goes on slowly, or everybody would be silent.

# Taken modulo what there is to choose from, so that every draw means something.
CHOICES = range(360)
ABSENCES = [0, 0, 0, 1, 3]
STEPS = [1, 199, 200, 1_000, 5_000, 10_000, 20_000, 40_000]
NUDGES = [-1, 0, 1]
SILENCES = [0, 1, 1, 2, 3]
CROWDS = [1, AGENTS_MAX]
choices, steps, nudges = st.sampled_from(CHOICES), st.sampled_from(STEPS), st.sampled_from(NUDGES)


class Playing(RuleBasedStateMachine):
    """Every rule asks both; both must say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story(window=WINDOW)
        self.naive = Naive(window=WINDOW)
        self.now = NOON
        self.names: Sequence[str] = NAMES

    def begin(self, n: int, absent: int) -> None:
        """Most agents are there from the beginning, the others may join."""
        self.names = NAMES[:n]
        for name in NAMES[: n - absent]:
            self.story.ask(register(name), self.now)
            self.naive.register(name, self.now)

    def name(self, choice: int) -> str:
        return self.names[choice % len(self.names)]

    def actor(self, choice: int) -> str:
        """An agent that is likely to be active: the refusals of the others are soon seen."""
        active = self.naive.all_active(self.now) if choice % ANYONE_EVERY else None
        names = active or self.names
        return names[choice % len(names)]

    def some(self, ids: Collection[str], which: int) -> str:
        """One of the latest of these, and sometimes one that never was."""
        latest = list(ids)[-LATEST_MAX:]
        chosen, stranger = divmod(which, STRANGER_EVERY)
        return "never" if stranger == 1 or not latest else latest[-1 - chosen % len(latest)]

    def ask(self, command: Command) -> Answer:
        return self.story.ask(command, self.now)

    @rule(seed=st.integers(0, 2**32 - 1))
    def much_happens(self, seed: int) -> None:
        """Fair dice go further in a long play; the single rules find the short examples."""
        dice = Random(seed)
        for _ in range(DEEDS_PER_RULE):
            self.something_happens(dice)

    @abstractmethod
    def something_happens(self, dice: Random) -> None: ...

    # -- Time and agents -----------------------------------------------------

    @rule(step=steps)
    def time_passes(self, step: int) -> None:
        self.now = Timestamp(self.now + step)

    @rule(which=choices, nudge=nudges)
    def time_comes(self, which: int, nudge: int) -> None:
        """To one of the next moments that matter, or a millisecond beside it."""
        moments = self.naive.moments(self.now)[:MOMENTS_MAX]
        if moments:
            moment = moments[which % len(moments)]
            self.now = Timestamp(max(self.now, moment + nudge))

    @rule(who=choices)
    def registers(self, who: int) -> None:
        name = self.name(who)
        known = id_of(name) in self.story.tenant_state[AGENTS]
        answer = self.ask(register(name))
        assert answer.declined is None
        told = "reregistered" if known else "registered"
        assert (told,) == self.naive.register(name, self.now)

    @rule(first=choices, heard=st.sampled_from(CROWDS))
    def are_heard_of(self, first: int, heard: int) -> None:
        for place in range(min(heard, len(self.names))):
            name = self.name(first + place)
            answer = self.ask(heartbeat(name))
            told = refused(answer) or (("heard",) if answer.decided else ("nothing",))
            assert told == self.naive.heartbeat(name, self.now)

    @rule(first=choices, silent=st.sampled_from(SILENCES))
    def some_fall_silent(self, first: int, silent: int) -> None:
        """Two of three windows pass, and the others are heard of in time."""
        for _ in range(2):
            self.are_heard_of(first, len(self.names) - silent)
            self.time_passes(WINDOW * 2 // 3)
        self.are_heard_of(first, len(self.names) - silent)

    def time_or_an_agent_goes_on(self, dice: Random) -> None:
        first = dice.choice(CHOICES)
        match dice.randrange(6):
            case 0:
                self.time_passes(dice.choice(STEPS))
            case 1:
                self.time_comes(first, dice.choice(NUDGES))
            case 2:
                self.registers(first)
            case 3:
                self.are_heard_of(first, dice.choice(CROWDS))
            case 4:
                self.some_fall_silent(first, dice.choice(SILENCES))
            case _:
                self.the_timer_comes(first, agents=dice.random() < HALF)

    @abstractmethod
    def the_timer_comes(self, which: int, agents: bool) -> None: ...

    def the_timer_comes_for(self, name: str) -> None:
        self.ask(RecordDue(aggregate="agent", id=id_of(name)))
        agent = self.story.tenant_state[AGENTS].get(id_of(name))
        active = agent is not None and agent.status == "active"
        assert active == self.naive.active(name, self.now)

    def who_is_active(self) -> None:
        active = {id_of(name) for name in self.naive.all_active(self.now)}
        assert active_agents(self.story.tenant_state, self.now) == active


def refused(answer: Answer) -> Told | None:
    """A refusal as the naive double tells it; None when there was none."""
    return (answer.declined.kind.code,) if answer.declined else None
