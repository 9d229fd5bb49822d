"""The tenant of a request: that of its key, or the one that an operator names."""

from quorate.application.operations import Call
from quorate.contracts.problems import Problem
from quorate.domain.identity.principals import Principal


def tenant_of(call: Call) -> str:
    """Return the tenant of the key, or the one that an admin key names."""
    principal: Principal = call.principal
    if principal.role != "admin":
        return principal.tenant
    for request in (call.body, call.query):
        if request is not None and request.tenant_id is not None:
            return str(request.tenant_id)
    raise Problem("invalid_request", "tenant_id: an admin key names the tenant.")
