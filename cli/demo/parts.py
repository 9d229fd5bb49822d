"""Which parts of the demo its events have not shown yet.

The demo continues until all parts are shown, so that it shows the same on a slow machine.
"""

from collections.abc import Iterator

from quorate.cli.demo.fleet import Fleet
from quorate.cli.demo.scene import Scene
from quorate.cli.demo.script import CRASHING_AGENT, VOTES


def missing_parts(scene: Scene, fleet: Fleet) -> Iterator[str]:
    """Yield the name of each part that is not complete."""
    if not scene.counts["LeaseConflicted"] or not scene.counts["SendBlocked"]:
        yield "lease conflict"
    if scene.vote is None or not (scene.vote.outcome or scene.vote.votes.keys() >= VOTES.keys()):
        yield "vote"
    if fleet.delegation.task_seconds is None:
        yield "mail"
    if scene.task is None or not scene.task.completions:
        yield "task"
    if fleet.config.shows_timeout and not (
        fleet.lease_crash.crashed_at and CRASHING_AGENT in scene.timed_out_at and scene.reacquired
    ):
        yield "crash"
