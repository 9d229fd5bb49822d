"""With a collector, a request, its commit and its notifications belong to one trace."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.e2e.service.http_clients import LEASE, Operator, connect_operator
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import ServiceProcess, StartFailed, run_service
from tests.e2e.service.trace_collector import TraceCollector, attribute_of, run_collector

CONTACT = "user@example.com"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
SHORT_EXPORT_DELAY = {"OTEL_BSP_SCHEDULE_DELAY": "50"}  # Milliseconds.


@asynccontextmanager
async def traced(data_dir: Path, *options: str, **variables: str) -> AsyncIterator[Operator]:
    with run_service(data_dir, *options, variables={**SHORT_EXPORT_DELAY, **variables}) as service:
        async with connect_operator(service) as operator:
            yield operator


async def conflict(operator: Operator) -> None:
    """Ann holds a contact, and Bob requests it with a trace context."""
    tenant = await operator.create_tenant()
    ann, bob = await tenant.create_agents("ann-the-first", "bob-the-second")
    await ann.lease(ann.id, CONTACT)
    body = {"agentId": bob.id, "contactEmail": CONTACT}
    response = await bob.request("POST", LEASE, body, headers={**CALLER, "X-Request-Id": "bobs"})
    assert response.status_code == 409


def in_callers_trace(collector: TraceCollector, name: str) -> list[Span]:
    return [span for span in collector.spans_named(name) if span.trace_id.hex() == TRACE]


async def test_request_commit_and_notifications_are_one_trace(data_dir: Path) -> None:
    with run_collector() as collector:
        async with traced(data_dir, "--otel-endpoint", collector.url) as operator:
            await conflict(operator)
            await wait_until(lambda: len(in_callers_trace(collector, "notification")) == 1)
            await wait_until(lambda: len(in_callers_trace(collector, "acquireLease")) == 1)

        (request,) = in_callers_trace(collector, "acquireLease")
        (commit,) = in_callers_trace(collector, "commit")
        (notification,) = in_callers_trace(collector, "notification")
        assert request.parent_span_id.hex() == PARENT
        assert (
            attribute_of(request, "quorate.outcome"),
            attribute_of(request, "quorate.request_id"),
        ) == (
            "lease_conflict",
            "bobs",
        )
        assert commit.parent_span_id == notification.parent_span_id == request.span_id
        assert [link.span_id for link in commit.links] == [request.span_id]
        assert [link.span_id for link in request.links] == [commit.span_id]
        assert [link.span_id for link in notification.links] == [commit.span_id]
        assert attribute_of(notification, "quorate.event.type") == "LeaseConflicted"
        assert attribute_of(notification, "quorate.notifications") == 2
        times = [request.start_time_unix_nano, commit.start_time_unix_nano]
        times += [commit.end_time_unix_nano, request.end_time_unix_nano]
        assert times == sorted(times)
        assert notification.start_time_unix_nano >= commit.start_time_unix_nano
        assert collector.paths == {"/v1/traces"}
        assert collector.services == {"quorate"}
        for secret in (CONTACT, "ann-the-first", "bob-the-second", "tenant-"):
            assert secret not in collector.text()


async def test_nats_command_is_traced(data_dir: Path) -> None:
    with run_collector() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "ours"}
        async with traced(data_dir, **variables) as operator:
            ann = await (await operator.create_tenant()).create_agent("ann")
            nats_agent = await NatsAgent.of(ann)
            await nats_agent.request("heartbeat", headers=CALLER)
            await wait_until(lambda: len(in_callers_trace(collector, "heartbeat")) == 1)

        (request,) = in_callers_trace(collector, "heartbeat")
        assert attribute_of(request, "network.protocol.name") == "nats"
        assert request.parent_span_id.hex() == PARENT
        assert len(in_callers_trace(collector, "commit")) == 1
        assert collector.services == {"ours"}


async def test_background_work_is_not_traced(data_dir: Path) -> None:
    with run_collector() as collector:
        async with traced(data_dir, "--otel-endpoint", collector.url) as operator:
            for path in ("/livez", "/readyz", "/metrics", "/nowhere"):
                await operator.http.get(path)
            await operator.request_ok("POST", "/v1/tenants", {"tenantId": "acme"}, headers=NONSENSE)

        (request,) = collector.spans_named("createTenant")
        assert {span.name for span in collector.spans} == {"createTenant", "commit"}
        assert request.parent_span_id == b""
        assert request.status.code != Status.STATUS_CODE_ERROR


NONSENSE = {"traceparent": "00-nonsense"}


async def test_unavailable_collector_does_not_delay_requests(data_dir: Path) -> None:
    with run_collector() as collector:
        closed = collector.url
    async with traced(data_dir, "--otel-endpoint", closed) as operator:
        await conflict(operator)
        await wait_until(lambda: bool(operator.service.log_entries("traces.export_failed")))

        operator.service.stop()  # Asserts that it stops in time.


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED=true", "OTEL_TRACES_EXPORTER=none"])
async def test_tracing_can_be_disabled(data_dir: Path, variable: str) -> None:
    name, _, value = variable.partition("=")
    with run_collector() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, name: value}
        async with traced(data_dir, **variables) as operator:
            await conflict(operator)

        assert collector.spans == []


def test_invalid_collector_address_is_rejected(data_dir: Path) -> None:
    with pytest.raises(StartFailed, match="http://localhost:4318"):
        ServiceProcess(data_dir, "--otel-endpoint", "localhost:4318").start()
