"""Number of examples for state machines: from the Hypothesis profile, or few for planted bugs."""

from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

EXAMPLES_FOR_A_PLANTED_BUG_MAX = 900  # A bug that is found ends the search at once.


def run_machine(machine: type[RuleBasedStateMachine], *, steps: int | None = None) -> None:
    """Run a state machine as often as the active profile says, with at most ``steps`` rules."""
    profile = settings(suppress_health_check=list(HealthCheck))
    if steps is not None:
        profile = settings(profile, stateful_step_count=steps)
    run_state_machine_as_test(machine, settings=profile)


_SEARCH = settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=EXAMPLES_FOR_A_PLANTED_BUG_MAX,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    stateful_step_count=30,
    suppress_health_check=list(HealthCheck),
)


def find_failure(machine: type[RuleBasedStateMachine]) -> None:
    """Run a state machine deterministically until it fails, without shrinking the example."""
    run_state_machine_as_test(machine, settings=_SEARCH)


def find_failing_example(strategy: SearchStrategy[T], run: Callable[[T], None]) -> None:
    """Run a property deterministically until it fails, without shrinking the example."""

    @_SEARCH
    @given(strategy)
    def search(example: T) -> None:
        run(example)

    search()
