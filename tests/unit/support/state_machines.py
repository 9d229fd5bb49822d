"""Base of the state machines: execute commands on a scenario and on its reference model.

Time advances by steps, or to the exact millisecond of a deadline.
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
from tests.unit.support.reference_model import Observation, ReferenceModel
from tests.unit.support.sample_commands import deregister, heartbeat, id_of, register
from tests.unit.support.specification import NOON, Outcome, Scenario

WINDOW = 60_000
NAMES = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida")
AGENTS_MAX = len(NAMES)
COMMANDS_PER_RULE = 12
HALF = 0.5
UNKNOWN_EVERY = 20
ANY_AGENT_EVERY = 5
LATEST_MAX = 3
DEADLINES_MAX = 4  # Only the next ones: larger steps would time out all agents.

# A selector is taken modulo the number of candidates, so that every draw is valid.
CHOICES = range(360)
ABSENT_COUNTS = [0, 0, 0, 1, 3]
STEPS = [1, 199, 200, 1_000, 5_000, 10_000, 20_000, 40_000]
OFFSETS = [-1, 0, 1]
SILENT_COUNTS = [0, 1, 1, 2, 3]
HEARTBEAT_COUNTS = [1, AGENTS_MAX]
choices, steps, offsets = st.sampled_from(CHOICES), st.sampled_from(STEPS), st.sampled_from(OFFSETS)


class ModelComparison(RuleBasedStateMachine):
    """Every rule executes a command on both; the results must be equal."""

    def __init__(self) -> None:
        super().__init__()
        self.scenario = Scenario(window=WINDOW)
        self.model = ReferenceModel(window=WINDOW)
        self.now = NOON
        self.names: Sequence[str] = NAMES

    def begin(self, n: int, absent: int) -> None:
        """Register most agents at the beginning; the others may register later."""
        self.names = NAMES[:n]
        for name in NAMES[: n - absent]:
            self.scenario.execute(register(name), self.now)
            self.model.register(name, self.now)

    def name(self, choice: int) -> str:
        return self.names[choice % len(self.names)]

    def actor(self, choice: int) -> str:
        """Return an agent that is probably active: few examples of inactive ones are enough."""
        active = self.model.active_agents(self.now) if choice % ANY_AGENT_EVERY else None
        names = active or self.names
        return names[choice % len(names)]

    def choose_recent(self, ids: Collection[str], selector: int) -> str:
        """Return one of the latest ids, and sometimes an unknown one."""
        latest = list(ids)[-LATEST_MAX:]
        chosen, remainder = divmod(selector, UNKNOWN_EVERY)
        return "never" if remainder == 1 or not latest else latest[-1 - chosen % len(latest)]

    def execute(self, command: Command) -> Outcome:
        return self.scenario.execute(command, self.now)

    @rule(seed=st.integers(0, 2**32 - 1))
    def execute_many(self, seed: int) -> None:
        """Execute uniformly random commands; they reach deeper states than single rules."""
        rng = Random(seed)
        for _ in range(COMMANDS_PER_RULE):
            self.execute_random(rng)

    @abstractmethod
    def execute_random(self, rng: Random) -> None: ...

    # -- Time and agents -----------------------------------------------------

    @rule(step=steps)
    def advance_time(self, step: int) -> None:
        self.now = Timestamp(self.now + step)

    @rule(selector=choices, offset=offsets)
    def advance_to_deadline(self, selector: int, offset: int) -> None:
        """Advance to one of the next deadlines, or a millisecond before or after it."""
        deadlines = self.model.deadlines(self.now)[:DEADLINES_MAX]
        if deadlines:
            deadline = deadlines[selector % len(deadlines)]
            self.now = Timestamp(max(self.now, deadline + offset))

    @rule(who=choices)
    def register_agent(self, who: int) -> None:
        name = self.name(who)
        known = id_of(name) in self.scenario.tenant_state[AGENTS]
        outcome = self.execute(register(name))
        assert outcome.rejection is None
        result = "reregistered" if known else "registered"
        assert (result,) == self.model.register(name, self.now)

    @rule(who=choices)
    def deregister_agent(self, who: int) -> None:
        name = self.name(who)
        outcome = self.execute(deregister(name))
        result = "left" if outcome.decided else "left before"
        assert (rejection_code(outcome) or (result,)) == self.model.deregister(name, self.now)

    @rule(first=choices, count=st.sampled_from(HEARTBEAT_COUNTS))
    def send_heartbeats(self, first: int, count: int) -> None:
        for place in range(min(count, len(self.names))):
            name = self.name(first + place)
            outcome = self.execute(heartbeat(name))
            result = "recorded" if outcome.decided else "coalesced"
            actual = rejection_code(outcome) or (result,)
            assert actual == self.model.heartbeat(name, self.now)

    @rule(first=choices, silent_count=st.sampled_from(SILENT_COUNTS))
    def silence_agents(self, first: int, silent_count: int) -> None:
        """Let four thirds of a window pass, while the other agents send heartbeats."""
        for _ in range(2):
            self.send_heartbeats(first, len(self.names) - silent_count)
            self.advance_time(WINDOW * 2 // 3)
        self.send_heartbeats(first, len(self.names) - silent_count)

    def advance_time_or_agents(self, rng: Random) -> None:
        first = rng.choice(CHOICES)
        match rng.randrange(7):
            case 0:
                self.advance_time(rng.choice(STEPS))
            case 1:
                self.advance_to_deadline(first, rng.choice(OFFSETS))
            case 2:
                self.register_agent(first)
            case 3:
                self.send_heartbeats(first, rng.choice(HEARTBEAT_COUNTS))
            case 4:
                self.silence_agents(first, rng.choice(SILENT_COUNTS))
            case 5:
                self.deregister_agent(first)
            case _:
                self.record_due(first, agents=rng.random() < HALF)

    @abstractmethod
    def record_due(self, selector: int, agents: bool) -> None: ...

    def record_due_of_agent(self, name: str) -> None:
        self.execute(RecordDue(aggregate="agent", id=id_of(name)))
        agent = self.scenario.tenant_state[AGENTS].get(id_of(name))
        active = agent is not None and agent.status == "active"
        assert active == self.model.is_active(name, self.now)

    def check_active_agents(self) -> None:
        active = {id_of(name) for name in self.model.active_agents(self.now)}
        assert active_agents(self.scenario.tenant_state, self.now) == active


def rejection_code(outcome: Outcome) -> Observation | None:
    """Return a rejection in the form of the reference model, or None."""
    return (outcome.rejection.kind.code,) if outcome.rejection else None
