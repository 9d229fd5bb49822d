"""Schemas of the problems: one for each code, so that every detail field is documented."""

from collections.abc import Iterable

from pydantic.alias_generators import to_pascal

from quorate.contracts.json_schemas import Json, ref
from quorate.contracts.problems import KINDS, PROBLEM_TYPE
from quorate.domain.identity.principals import ROLES
from quorate.domain.shared.quotas import QUOTAS

# Required fields of each code, in addition to the fields of all problems.
_TEXT: Json = {"type": "string"}
_DETAILS: dict[str, Json] = {
    "acting_as_another": {"agentId": _TEXT},
    "agent_inactive": {
        "agentId": _TEXT,
        "lastHeartbeat": {"type": "string", "format": "date-time"},
    },
    "already_voted": {"vote": {"enum": ["approve", "reject"]}},
    "lease_conflict": {
        "conflict": {"const": True},
        "leaseHolder": ref("HolderInfo"),
    },
    "lease_ended": {
        "leaseId": _TEXT,
        "leaseStatus": {"enum": ["released", "expired", "revoked"]},
    },
    "consensus_closed": {"consensusStatus": {"enum": ["approved", "rejected", "expired"]}},
    "not_eligible": {"agentId": _TEXT},
    "tenant_exists": {"tenantId": _TEXT},
    "rate_limited": {
        "limitedBy": {"enum": ["key", "tenant", "address"]},
        "retryAfterSeconds": {"type": "number", "minimum": 0},
    },
    "quota_exceeded": {"quota": {"enum": list(QUOTAS)}, "limit": {"type": "integer"}},
}
# Optional fields of each code.
_OPTIONAL_DETAILS: dict[str, Json] = {
    "role_forbidden": {"role": {"enum": list(ROLES)}},
    "invalid_request": {
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "why"],
                "properties": {"field": _TEXT, "why": _TEXT},
            },
        }
    },
}


def problem_schemas(codes: Iterable[str]) -> Json:
    """Return the schema of the shared fields, and one schema for each code."""
    fields = {
        "type": {"type": "string", "format": "uri"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "code": {"enum": sorted(KINDS)},
        "requestId": _TEXT,
    }
    shared = {
        "type": "object",
        "description": "A problem document (RFC 9457). Base decisions on `code`.",
        "required": list(fields),
        "properties": fields,
    }
    return {"Problem": shared} | {schema_name(code): _schema(code) for code in sorted(codes)}


def schema_name(code: str) -> str:
    return f"{to_pascal(code)}Problem"


def _schema(code: str) -> Json:
    details = _DETAILS.get(code, {})
    fields = {
        "type": {"const": PROBLEM_TYPE + code},
        "status": {"const": KINDS[code].status},
        "code": {"const": code},
    }
    own: Json = {"properties": fields | details | _OPTIONAL_DETAILS.get(code, {})}
    if details:
        own["required"] = list(details)
    return {"description": KINDS[code].title, "allOf": [ref("Problem"), own]}
