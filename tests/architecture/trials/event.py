"""Run in a copy of the repository that has the event and the command of CONTRIBUTING.md."""

import sys

from quorate.domain.coordination import leases
from quorate.domain.registry import COMMANDS, EVENT_TYPES
from quorate.eventlog.serialization import decode, encode
from tests.support.paths import GOLDEN_EVENTS
from tests.unit.support.sample_commands import key_of
from tests.unit.support.sample_events import acquired, registered
from tests.unit.support.specification import TimedEvent, given

change = COMMANDS["ChangeIntent"](caller=key_of("ann"), lease_id="lease", intent="follow up")
event = EVENT_TYPES["LeaseIntentChanged"](
    lease_id="lease", contact_key="kim@example.com", agent_id="agent_ann", intent="follow up"
)
scenario = given(registered("ann"), acquired("ann", fence=2))
scenario = scenario.when(change).then(TimedEvent(at=scenario.now, event=event))
assert scenario.tenant_state[leases.LEASES]["lease"].intent == "follow up"
scenario.when(change).then_nothing()

stored = (GOLDEN_EVENTS / "LeaseIntentChanged.v1.json").read_bytes().strip()
assert encode(decode("LeaseIntentChanged", 1, stored)) == stored
sys.stdout.write("passed\n")
