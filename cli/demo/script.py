"""Script of the demo: which agents there are, what each does, and when.

Times are shares of the duration, counted from when all agents are connected.
"""

from collections.abc import Mapping

from quorate.domain.coordination.consensus import Choice
from quorate.domain.shared.records import record

CONTACTS = ("ann@demo.example", "bob@demo.example", "cat@demo.example")
# The vote of each agent on the proposal.
VOTES: Mapping[str, Choice] = {
    "demo-ada": "approve",
    "demo-ben": "reject",
    "demo-cleo": "approve",
    "demo-dan": "approve",
}
PROPOSER = "demo-ada"
CRASHING_AGENT = "demo-eve"
SUCCESSOR = "demo-dan"  # Waits for the contact of the crashing agent.
SPAWNER, WORKER, CRASHING_WORKER = "demo-ada", "demo-cleo", "demo-fay"
NAMES = (*VOTES, CRASHING_AGENT, CRASHING_WORKER)
ACTION = "pause outreach"
DISPUTED = CONTACTS[0]
ABANDONED = CONTACTS[1]
PRESET = "demo-work"  # Of the task for the workers.
LEASE_MINUTES = 1.0
VOTE_MINUTES = 1.0
# The claim of the crashing worker: as short as the service allows.
CRASHING_CLAIM_SECONDS = 1
PROPOSED_AT = 0.15
SPAWNED_AT = 0.2
CRASHING_STARTS_AT = 0.25
DELEGATED_AT = 0.3
CRASHES_AT = 0.45
LAST_LEASE_AT = 0.93
HOLD_SHARES = (0.02, 0.06)
WAIT_SHARES = (0.02, 0.1)
VOTE_DELAY_SHARES = (0.02, 0.06)
# On a slow machine the demo continues after its duration, at most so long, until all is shown.
EXTRA_SECONDS_MAX = 30.0


@record
class DemoConfig:
    """The service and the duration; ``shows_timeout``: the demo is long enough for a timeout."""

    url: str
    nats_url: str | None
    api_key: str
    seconds: float
    window_seconds: float
    shows_timeout: bool

    @property
    def seconds_max(self) -> float:
        return self.seconds + EXTRA_SECONDS_MAX
