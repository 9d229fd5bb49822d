"""What pages show of values."""

from quorate.api.console.pages import FACTS_SHOWN_MAX, facts


def test_list_shows_names_instead_of_ids() -> None:
    data = {"agentId": "agent_1", "agentName": "ann", "contactKey": "k", "to": [], "leaseId": "l"}
    assert facts(data) == [("agentName", "ann"), ("leaseId", "l")]
    assert len(facts({str(number): number for number in range(99)})) == FACTS_SHOWN_MAX
