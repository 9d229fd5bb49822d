"""Fingerprints of requests are pinned: a retry may reach a newer version."""

from types import SimpleNamespace
from typing import Any

import pytest

from quorate.application.execution import FINGERPRINT_VERSION, _fingerprint
from quorate.contracts.coordination.consensus import CAST_VOTE, REQUEST_CONSENSUS
from quorate.contracts.coordination.leases import ACQUIRE_LEASE
from quorate.contracts.operations import AnyOperation


def fingerprint(operation: AnyOperation, path: dict[str, str], **fields: object) -> str:
    assert operation.body is not None
    call: Any = SimpleNamespace(query=None, path=path, body=operation.body.model_validate(fields))
    return _fingerprint(call).hex()


LEASE = {"agentId": "agent_1", "contactEmail": "user@example.com"}
PROPOSAL = {
    "requestingAgentId": "agent_1",
    "action": "send",
    "contactEmail": "user@example.com",
    "reason": "why",
    "floor": 0.5,
}
PINNED: dict[str, tuple[AnyOperation, dict[str, str], dict[str, Any]]] = {
    "01c3bfdeebc453e361a38b556fef445c1d085ced7ecf97659ec02a3501297dcd36": (
        *(ACQUIRE_LEASE, {}),
        LEASE,
    ),
    "01aa1152228a5486231659e8b8eeb0c5e314e6ad9200fad120a02163618ea5c24c": (
        *(ACQUIRE_LEASE, {}),
        {**LEASE, "durationMinutes": 5, "intent": "sales"},
    ),
    "019ac1d3ece6ea0e4c5afe67abbedfec1ca3843469c86f86979d7b6707c8ce1d36": (
        *(REQUEST_CONSENSUS, {}),
        PROPOSAL,
    ),
    "0183485ee9ce7204a8d98086fb862473394752d145f9a93f224249ba8cb663f4c4": (
        *(CAST_VOTE, {"id": "request_1"}),
        {"agentId": "agent_1", "vote": "approve"},
    ),
}


@pytest.mark.parametrize("expected", PINNED)
def test_fingerprint_of_this_version_is_unchanged(expected: str) -> None:
    """If this fails, raise FINGERPRINT_VERSION, and pin the new fingerprints."""
    operation, path, fields = PINNED[expected]

    assert fingerprint(operation, path, **fields) == expected


def test_fingerprint_begins_with_its_version() -> None:
    assert bytes.fromhex(fingerprint(ACQUIRE_LEASE, {}, **LEASE))[0] == FINGERPRINT_VERSION


def test_explicit_defaults_do_not_change_the_fingerprint() -> None:
    explicit = {**LEASE, "durationMinutes": 30}

    assert fingerprint(ACQUIRE_LEASE, {}, **explicit) == fingerprint(ACQUIRE_LEASE, {}, **LEASE)
