"""A key of one tenant reveals nothing about another tenant, at every endpoint.

Endpoints, parameters and fields come from the endpoint registry. A new one is covered
automatically, or fails the first test until it is added to the tables.
"""

import itertools
import json
import re
from collections.abc import Iterator

import pytest

from quorate.api.routes import ENDPOINTS
from quorate.contracts.operations import AnyOperation
from quorate.domain.identity.principals import ROLES, Role
from tests.e2e.service.http_clients import Caller, Operator, Tenant, success
from tests.e2e.service.service_process import Json
from tests.e2e.service.tenant_data import TenantData, create_tenant_data
from tests.e2e.service.two_tenants import (
    BODIES,
    FIELDS,
    MAIL_IDS,
    NAME_ASSIGNMENTS,
    NON_IDENTIFYING_FIELDS,
    NON_IDENTIFYING_PATHS,
    OK,
    PATHS,
    PRIVATE,
    PUBLIC,
    SHARED_IN_BODIES,
    TENANT,
    UNKNOWN_VALUES,
    EndpointRequest,
    EndpointResponse,
    fields,
    parameters,
)

TENANT_ROLES: tuple[Role, ...] = ("tenant", "agent", "auditor", "mail")


def named(endpoint: AnyOperation) -> str:
    return endpoint.name


@pytest.fixture
async def ours(operator: Operator) -> TenantData:
    return await create_tenant_data(operator)


@pytest.fixture
async def theirs(operator: Operator) -> TenantData:
    return await create_tenant_data(operator)


def roles_of(endpoint: AnyOperation) -> Iterator[Role]:
    """The roles of a tenant's keys that may call an endpoint."""
    yield from (role for role in TENANT_ROLES if role in endpoint.roles)


def code(response: EndpointResponse) -> str:
    return str(json.loads(response.body)["code"])


# -- Completeness of the tables ----------------------------------------------


def test_every_endpoint_parameter_and_field_is_covered() -> None:
    known = {*FIELDS, *NON_IDENTIFYING_FIELDS, TENANT}
    request_fields = {name for one in ENDPOINTS for name in (*fields(one.body), *fields(one.query))}

    assert {one.name for one in ENDPOINTS if one.body is not None} == BODIES.keys()
    assert {name for one in ENDPOINTS for name in parameters(one)} == PATHS.keys()
    assert request_fields == known
    assert UNKNOWN_VALUES.keys() == PATHS.keys() | FIELDS.keys()


def test_every_private_endpoint_accepts_a_tenant_id() -> None:
    for endpoint in PRIVATE:
        if endpoint.roles != {"admin"}:
            assert TENANT in fields(endpoint.query), endpoint.name


@pytest.mark.parametrize("endpoint", PRIVATE, ids=named)
async def test_own_resource_is_accessible(endpoint: AnyOperation, ours: TenantData) -> None:
    """Control: without this, the rejections below would prove nothing."""
    # An active agent cannot be removed, a main session cannot be deleted, some commands work once:
    # 409 says that it was found.
    once = {"removeAgent", "rotateKey", "completeTask", "failTask", "releaseTask", "answerTask"}
    found = {*once, "retryTask", "sessionsDelete", "requeueTask"}
    expected = {OK, 409} if endpoint.name in found else {OK}
    for role in endpoint.roles:
        assert (
            await EndpointRequest.of(endpoint, ours).send_as(ours.callers[role])
        ).status in expected, role


# -- Keys and roles ----------------------------------------------------------


@pytest.mark.parametrize("endpoint", PRIVATE, ids=named)
async def test_request_without_a_key_reveals_nothing(
    endpoint: AnyOperation, ours: TenantData, theirs: TenantData
) -> None:
    anonymous = Caller(ours.tenant.connection, None)

    refused = await EndpointRequest.of(endpoint, ours).send_as(anonymous)

    assert refused.status == 401
    assert any(name.lower() == "www-authenticate" for name, _ in refused.headers)
    assert await EndpointRequest.of(endpoint, theirs).send_as(anonymous) == refused


@pytest.mark.parametrize("endpoint", PRIVATE, ids=named)
async def test_role_without_permission_is_rejected(
    endpoint: AnyOperation, ours: TenantData
) -> None:
    for role in set(ROLES) - endpoint.roles:
        refused = await EndpointRequest.of(endpoint, ours).send_as(ours.callers[role])

        assert (refused.status, code(refused)) == (403, "role_forbidden"), role


@pytest.mark.parametrize("endpoint", PUBLIC, ids=named)
async def test_public_response_names_no_tenant_or_agent(
    endpoint: AnyOperation, ours: TenantData
) -> None:
    response = await EndpointRequest.of(endpoint, ours).send_as(
        Caller(ours.tenant.connection, None)
    )

    assert response.status == OK
    for name in ours.names:
        assert name.encode() not in response.body


# -- Values of the other tenant ----------------------------------------------


@pytest.mark.parametrize("endpoint", PRIVATE, ids=named)
async def test_tenant_id_of_the_other_tenant_is_rejected_in_every_place(
    endpoint: AnyOperation, ours: TenantData, theirs: TenantData
) -> None:
    before = await both_logs(ours, theirs)
    own, foreign = EndpointRequest.of(endpoint, ours), EndpointRequest.of(endpoint, theirs)
    for role in roles_of(endpoint):
        for request in (own, foreign):
            refused = [
                await request.with_query(TENANT, theirs.tenant.id).send_as(ours.callers[role])
            ]
            if TENANT in fields(endpoint.body):
                everywhere = request.with_field(TENANT, theirs.tenant.id)
                refused.append(await everywhere.send_as(ours.callers[role]))
                everywhere = everywhere.with_query(TENANT, theirs.tenant.id)
                refused.append(await everywhere.send_as(ours.callers[role]))

            for response in refused:
                assert response.status in {400, 403}
                assert code(response) in {"tenant_forbidden", "tenant_ambiguous"}
    assert await both_logs(ours, theirs) == before


@pytest.mark.parametrize("endpoint", PRIVATE, ids=named)
async def test_id_of_the_other_tenant_looks_like_an_unknown_id(
    endpoint: AnyOperation, ours: TenantData, theirs: TenantData
) -> None:
    before = await both_logs(ours, theirs)
    own = EndpointRequest.of(endpoint, ours)
    for role in roles_of(endpoint):
        caller = ours.callers[role]
        for name in set(existing_ids(endpoint)) - NON_IDENTIFYING_PATHS:
            value, nothing = PATHS[name](theirs), UNKNOWN_VALUES[name]()
            foreign = await own.with_path(name, value).send_as(caller)
            unknown = await own.with_path(name, nothing).send_as(caller)
            assert foreign.without(value) == unknown.without(nothing)
            assert foreign.status == (403 if acts_as(endpoint, role) else 404)
        for name in identifying_fields(endpoint, fields(endpoint.body)) - SHARED_IN_BODIES:
            value, nothing = FIELDS[name](theirs), UNKNOWN_VALUES[name]()
            foreign = await own.with_field(name, value).send_as(caller)
            unknown = await own.with_field(name, nothing).send_as(caller)
            assert foreign.without(value) == unknown.without(nothing)
            of_agent = role == "agent" and name not in MAIL_IDS
            assert foreign.status == (403 if of_agent else 404)
        for name in identifying_fields(endpoint, fields(endpoint.query)):
            foreign = await own.with_query(name, FIELDS[name](theirs)).send_as(caller)
            unknown = await own.with_query(name, UNKNOWN_VALUES[name]()).send_as(caller)
            assert foreign == unknown
            assert not any(known.encode() in foreign.body for known in theirs.names)
    assert await both_logs(ours, theirs) == before


def existing_ids(endpoint: AnyOperation) -> list[str]:
    """Return the parameters of the path that name an existing resource."""
    return [one for one in parameters(endpoint) if (endpoint.name, one) not in NAME_ASSIGNMENTS]


def acts_as(endpoint: AnyOperation, role: Role) -> bool:
    """Whether an agent key is rejected because it names another agent as the caller."""
    return role == "agent" and endpoint.command and parameters(endpoint) == ["agent_id"]


def identifying_fields(endpoint: AnyOperation, names: list[str]) -> set[str]:
    return {
        name for name in names if name in FIELDS and (endpoint.name, name) not in NAME_ASSIGNMENTS
    }


@pytest.mark.parametrize("endpoint", PRIVATE, ids=named)
async def test_request_with_all_values_of_the_other_tenant_is_rejected(
    endpoint: AnyOperation, ours: TenantData, theirs: TenantData
) -> None:
    """Send a complete request of the other tenant with one of our keys."""
    has_identifiers = (
        existing_ids(endpoint)
        or identifying_fields(endpoint, fields(endpoint.body)) - SHARED_IN_BODIES
    )
    before = await theirs.tenant.events()
    for role in roles_of(endpoint):
        response = await EndpointRequest.of(endpoint, theirs).send_as(ours.callers[role])

        if has_identifiers or endpoint.name == "issueKey":
            assert response.status in {403, 404}, role
        request = json.dumps(
            [
                EndpointRequest.of(endpoint, theirs).body,
                *EndpointRequest.of(endpoint, theirs).path.values(),
            ]
        )
        for known in theirs.names:
            assert known.encode() not in response.body or known in request
    assert await theirs.tenant.events() == before


async def both_logs(ours: TenantData, theirs: TenantData) -> list[list[Json]]:
    return [await side.tenant.events() for side in (ours, theirs)]


@pytest.mark.parametrize("endpoint", [one for one in PRIVATE if one.response], ids=named)
async def test_lists_contain_only_own_items(
    endpoint: AnyOperation, ours: TenantData, theirs: TenantData
) -> None:
    for role in roles_of(endpoint):
        response = await EndpointRequest.of(endpoint, ours).send_as(ours.callers[role])

        assert not any(known.encode() in response.body for known in theirs.names), role


async def test_same_agent_name_in_two_tenants_is_two_agents(tenant: Tenant, other: Tenant) -> None:
    ann, namesake = await tenant.create_agent("ann"), await other.create_agent("ann")
    await ann.request("PUT", f"/v1/agent/agents/{ann.id}/config", {"humanizer_style": "casual"})

    assert ann.id != namesake.id
    assert (await other.agent(namesake.id))["incarnation"] == 1
    assert await other.request_ok("GET", f"/v1/agent/agents/{namesake.id}/config") == {}


# -- Load of another tenant --------------------------------------------------

IGNORED_HEADERS = {"date", "content-length"}  # The length depends on the ids.
_VARYING = re.compile(
    r"tenant-\d+|agent_[0-9a-f-]{36}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|qk_\w+|\b[0-9a-f]{16}\b|\b[0-9a-f]{64}\b|\d{4}-\d\d-\d\dT[0-9:.]+Z"
)


async def transcript(tenant: Tenant, busy: Tenant | None) -> list[str]:
    """Return all responses to a tenant, with or without load of another one.

    Ids and times are masked.
    """
    responses = []
    agents: list[str] = []
    steps: Iterator[tuple[str, str, Json | None]] = iter(
        [
            ("POST", "/v1/agent/register", {"agentName": "ann"}),
            ("POST", "/v1/agent/register", {"agentName": "bob"}),
            (
                "POST",
                "/v1/agent/coordination/lease",
                {"agentName": "ann", "contactEmail": "a@x.de"},
            ),
            (
                "POST",
                "/v1/agent/coordination/lease",
                {"agentName": "bob", "contactEmail": "a@x.de"},
            ),
            ("POST", "/v1/agent/request-send", {"agentName": "bob", "contactEmail": "a@x.de"}),
            ("GET", "/v1/agent/coordination/leases", None),
            ("GET", "/v1/agent/agents", None),
            ("GET", "/v1/keys", None),
            ("GET", "/v1/events", None),
        ]
    )
    for number, (method, path, body) in enumerate(steps):
        if busy is not None:
            agents.append((await busy.register(f"busy-{number}"))["id"])
            await busy.lease(agents[-1], f"{number}@x.de")
            await busy.acquire(agents[0], "a@x.de")
        response = await tenant.request(method, path, body, headers={"X-Request-Id": "same"})
        headers = sorted(
            one for one in response.headers.multi_items() if one[0] not in IGNORED_HEADERS
        )
        responses.append(_VARYING.sub("*", f"{response.status_code} {headers} {response.text}"))
    return responses


async def test_load_of_another_tenant_is_not_observable(operator: Operator) -> None:
    quiet_responses = await transcript(await operator.create_tenant(), None)
    busy_responses = await transcript(
        await operator.create_tenant(), await operator.create_tenant()
    )

    for quiet, noisy in itertools.zip_longest(quiet_responses, busy_responses):
        assert noisy == quiet


async def test_sequences_are_contiguous_under_load_of_other_tenants(
    tenant: Tenant, other: Tenant
) -> None:
    ann, bob = await tenant.create_agent("ann"), await other.create_agent("bob")
    for number in range(20):
        await bob.lease(bob.id, f"{number}@example.com")
        response = await ann.acquire(ann.id, f"{number}@example.com")
        assert int(response.headers["quorate-sequence"]) == success(response)["fence"]

    sequences = [event["sequence"] for event in await tenant.events()]
    assert sequences == list(range(1, len(sequences) + 1))
