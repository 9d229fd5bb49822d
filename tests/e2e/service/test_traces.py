"""With a collector, one trace leads from a request to its commit and to the notifications of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.e2e.service.http_clients import LEASE, Operator, speaking_to
from tests.e2e.service.nats_agent import Asking
from tests.e2e.service.nats_listener import until
from tests.e2e.service.service_process import DidNotStart, Running, serving
from tests.e2e.service.trace_collector import Collector, collecting, said

CONTACT = "somebody@example.com"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
SENT_SOON = {"OTEL_BSP_SCHEDULE_DELAY": "50"}  # Milliseconds.


@asynccontextmanager
async def traced(data_dir: Path, *options: str, **variables: str) -> AsyncIterator[Operator]:
    with serving(data_dir, *options, variables={**SENT_SOON, **variables}) as service:
        async with speaking_to(service) as operator:
            yield operator


async def conflict(operator: Operator) -> None:
    """Ann holds a contact, and Bob asks for it within somebody's trace."""
    tenant = await operator.tenant()
    ann, bob = await tenant.agents_of("ann-the-first", "bob-the-second")
    await ann.lease(ann.id, CONTACT)
    body = {"agentId": bob.id, "contactEmail": CONTACT}
    response = await bob.ask("POST", LEASE, body, headers={**CALLER, "X-Request-Id": "bobs"})
    assert response.status_code == 409


def in_callers_trace(collector: Collector, name: str) -> list[Span]:
    return [span for span in collector.named(name) if span.trace_id.hex() == TRACE]


async def test_a_request_its_commit_and_its_notifications_are_one_trace(data_dir: Path) -> None:
    with collecting() as collector:
        async with traced(data_dir, "--otel-endpoint", collector.url) as operator:
            await conflict(operator)
            await until(lambda: len(in_callers_trace(collector, "notification")) == 1)
            await until(lambda: len(in_callers_trace(collector, "acquireLease")) == 1)

        (request,) = in_callers_trace(collector, "acquireLease")
        (commit,) = in_callers_trace(collector, "commit")
        (notification,) = in_callers_trace(collector, "notification")
        assert request.parent_span_id.hex() == PARENT
        assert (said(request, "quorate.outcome"), said(request, "quorate.request_id")) == (
            "lease_conflict",
            "bobs",
        )
        assert commit.parent_span_id == notification.parent_span_id == request.span_id
        assert [link.span_id for link in commit.links] == [request.span_id]
        assert [link.span_id for link in request.links] == [commit.span_id]
        assert [link.span_id for link in notification.links] == [commit.span_id]
        assert said(notification, "quorate.event.type") == "LeaseConflicted"
        assert said(notification, "quorate.notifications") == 2
        times = [request.start_time_unix_nano, commit.start_time_unix_nano]
        times += [commit.end_time_unix_nano, request.end_time_unix_nano]
        assert times == sorted(times)
        assert notification.start_time_unix_nano >= commit.start_time_unix_nano
        assert collector.paths == {"/v1/traces"}
        assert collector.services == {"quorate"}
        for secret in (CONTACT, "ann-the-first", "bob-the-second", "tenant-"):
            assert secret not in collector.text()


async def test_a_command_over_nats_is_traced_as_well(data_dir: Path) -> None:
    with collecting() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "ours"}
        async with traced(data_dir, **variables) as operator:
            ann = await (await operator.tenant()).agent_of("ann")
            asking = await Asking.of(ann)
            await asking.ask("heartbeat", headers=CALLER)
            await until(lambda: len(in_callers_trace(collector, "heartbeat")) == 1)

        (request,) = in_callers_trace(collector, "heartbeat")
        assert said(request, "network.protocol.name") == "nats"
        assert request.parent_span_id.hex() == PARENT
        assert len(in_callers_trace(collector, "commit")) == 1
        assert collector.services == {"ours"}


async def test_what_nobody_asked_for_is_no_trace(data_dir: Path) -> None:
    with collecting() as collector:
        async with traced(data_dir, "--otel-endpoint", collector.url) as operator:
            for path in ("/livez", "/readyz", "/metrics", "/nowhere"):
                await operator.http.get(path)
            await operator.must("POST", "/v1/tenants", {"tenantId": "acme"}, headers=NONSENSE)

        (request,) = collector.named("createTenant")
        assert {span.name for span in collector.spans} == {"createTenant", "commit"}
        assert request.parent_span_id == b""
        assert request.status.code != Status.STATUS_CODE_ERROR


NONSENSE = {"traceparent": "00-nonsense"}


async def test_a_collector_that_is_away_keeps_nobody_waiting(data_dir: Path) -> None:
    with collecting() as collector:
        gone = collector.url
    async with traced(data_dir, "--otel-endpoint", gone) as operator:
        await conflict(operator)
        await until(lambda: bool(operator.service.logged("traces.not_sent")))

        operator.service.stop()  # It asserts that this does not take long.


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED=true", "OTEL_TRACES_EXPORTER=none"])
async def test_traces_can_be_switched_off(data_dir: Path, variable: str) -> None:
    name, _, value = variable.partition("=")
    with collecting() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, name: value}
        async with traced(data_dir, **variables) as operator:
            await conflict(operator)

        assert collector.spans == []


def test_an_address_that_is_none_is_refused(data_dir: Path) -> None:
    with pytest.raises(DidNotStart, match="http://localhost:4318"):
        Running(data_dir, "--otel-endpoint", "localhost:4318").start()
