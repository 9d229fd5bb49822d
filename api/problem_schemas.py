"""What each problem looks like: one schema for each code, so that no fact goes undocumented."""

from collections.abc import Iterable

from pydantic.alias_generators import to_pascal

from quorate.api.json_schemas import Json, ref
from quorate.contracts.problems import KINDS, PROBLEM_TYPE
from quorate.domain.identity.api_keys import ROLES
from quorate.domain.shared.quotas import QUOTAS

# What problems of one code tell besides the members that all have.
_TEXT: Json = {"type": "string"}
_FACTS: dict[str, Json] = {
    "acting_as_another": {"agentId": _TEXT},
    "agent_inactive": {
        "agentId": _TEXT,
        "lastHeartbeat": {"type": "string", "format": "date-time"},
    },
    "already_voted": {"vote": {"enum": ["approve", "reject"]}},
    "lease_conflict": {
        "conflict": {"const": True},
        "leaseHolder": ref("HolderAnswer"),
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
# What they may tell.
_OPTIONAL_FACTS: dict[str, Json] = {
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
    """What all problems have in common, then one schema for each code."""
    said = {
        "type": {"type": "string", "format": "uri"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "code": {"enum": sorted(KINDS)},
        "requestId": _TEXT,
    }
    shared = {
        "type": "object",
        "description": "What went wrong (RFC 9457). Decide by `code`.",
        "required": list(said),
        "properties": said,
    }
    return {"Problem": shared} | {schema_name(code): _schema(code) for code in sorted(codes)}


def schema_name(code: str) -> str:
    return f"{to_pascal(code)}Problem"


def _schema(code: str) -> Json:
    facts = _FACTS.get(code, {})
    said = {
        "type": {"const": PROBLEM_TYPE + code},
        "status": {"const": KINDS[code].status},
        "code": {"const": code},
    }
    own: Json = {"properties": said | facts | _OPTIONAL_FACTS.get(code, {})}
    if facts:
        own["required"] = list(facts)
    return {"description": KINDS[code].title, "allOf": [ref("Problem"), own]}
