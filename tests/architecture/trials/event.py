"""Run in a copy of the repository that has the event and the command of CONTRIBUTING.md."""

import sys

from quorate.domain.coordination import leases
from quorate.domain.registry import COMMANDS, EVENT_TYPES
from quorate.eventlog.serialization import decode, encode
from tests.support.paths import GOLDEN_EVENTS
from tests.unit.support.sample_events import acquired, registered
from tests.unit.support.scenario import key_of
from tests.unit.support.specification import Fact, given

change = COMMANDS["ChangeIntent"](caller=key_of("ann"), lease_id="lease", intent="follow up")
event = EVENT_TYPES["LeaseIntentChanged"](
    lease_id="lease", contact_key="kim@example.com", agent_id="agent_ann", intent="follow up"
)
story = given(registered("ann"), acquired("ann", fence=2))
story = story.when(change).then(Fact(at=story.now, event=event))
assert story.tenant_state[leases.LEASES]["lease"].intent == "follow up"
story.when(change).then_nothing()

stored = (GOLDEN_EVENTS / "LeaseIntentChanged.v1.json").read_bytes().strip()
assert encode(decode("LeaseIntentChanged", 1, stored)) == stored
sys.stdout.write("passed\n")
