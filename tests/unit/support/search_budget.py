"""How long the state machines play: as the profile says, or briefly for a bug that is known."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

PLAYS_FOR_A_PLANTED_BUG_MAX = 300


def play(machine: type[RuleBasedStateMachine]) -> None:
    """Play as often as the profile in force says."""
    run_state_machine_as_test(machine, settings=settings(suppress_health_check=list(HealthCheck)))


def search(machine: type[RuleBasedStateMachine]) -> None:
    """Play until something breaks, always in the same way, and don't look for a shorter one."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            database=None,
            deadline=None,
            derandomize=True,
            max_examples=PLAYS_FOR_A_PLANTED_BUG_MAX,
            phases=[Phase.generate],
            report_multiple_bugs=False,
            stateful_step_count=30,
            suppress_health_check=list(HealthCheck),
        ),
    )
