"""Which commands a paused tenant rejects: all of its keys, except those that are listed here."""

from quorate.application.operations import Call
from quorate.contracts.operations import is_pausable, known_codes
from quorate.contracts.operator_actions import OPERATOR_ACTIONS
from quorate.contracts.registry import OPERATIONS, OPERATIONS_BY_NAME

BY_AGENTS = {"heartbeat", "deregister", "releaseLease", "releaseTask"}


def test_agents_only_report_life_and_give_back_what_they_hold() -> None:
    assert {one.name for one in OPERATIONS if one.while_paused} == BY_AGENTS


def test_all_other_operations_of_agents_are_pausable() -> None:
    served = {one.name for one in OPERATIONS if "agent" in one.roles and not is_pausable(one)}

    assert served == BY_AGENTS


def test_actions_of_operators_are_not_pausable() -> None:
    served = {one.name for one in OPERATIONS if not is_pausable(one)}

    assert served == BY_AGENTS | OPERATOR_ACTIONS.keys()


def test_command_is_pausable_unless_its_operation_says_otherwise() -> None:
    def pausable_after(*names: str) -> bool:
        call = Call({}, {})
        for name in names:
            call.follow(OPERATIONS_BY_NAME[name])
        return call.pausable

    assert pausable_after()
    assert not pausable_after("heartbeat")
    assert pausable_after("heartbeat", "acquireLease")


def test_documents_name_the_code_where_it_occurs() -> None:
    found = {one.name for one in OPERATIONS if "tenant_paused" in known_codes(one)}

    assert found >= {"acquireLease", "sendMail", "putPreset", "issueKey"}
    assert not found & (BY_AGENTS | OPERATOR_ACTIONS.keys() | {"listLeases", "createTenant"})
