"""List, retry and drop deliveries to people that were given up."""

from collections.abc import Callable
from typing import Any

from quorate.application.execution import Service
from quorate.application.mail.rendering import render_delivery
from quorate.application.named_tenant import tenant_of
from quorate.application.operations import Call, Reply, handles
from quorate.application.pagination import list_reply
from quorate.application.rendering import dump
from quorate.contracts.mail.mailbox import (
    DROP_DELIVERY,
    LIST_DELIVERIES,
    RETRY_DELIVERY,
    DeliveriesQuery,
)
from quorate.domain.mail.deliveries import DeliveryNotFound
from quorate.domain.mail.delivery_attempts import DropDeadLetter, RetryDeadLetter


@handles(LIST_DELIVERIES)
async def list_deliveries(service: Service, call: Call) -> Reply:
    query: DeliveriesQuery = call.query
    tenant = tenant_of(call)
    return await list_reply(
        service,
        call,
        LIST_DELIVERIES.path,
        lambda after, limit, size: service.mail.reader.deliveries(
            tenant, after, limit, query.status, size
        ),
        render=lambda delivery, _: render_delivery(delivery),
        cursor=lambda delivery: delivery.id,
    )


async def _change(service: Service, call: Call, make: Callable[[str, str], Any]) -> Reply:
    tenant, delivery_id = tenant_of(call), call.path["delivery_id"]
    found = (await service.mail.reader.delivery(tenant, delivery_id)).found
    if found is None:
        raise DeliveryNotFound
    command = make(found.message_id, delivery_id)
    return await service.execute(
        call, command, lambda delivery: dump(render_delivery(delivery)), tenant=tenant
    )


@handles(RETRY_DELIVERY)
async def retry(service: Service, call: Call) -> Reply:
    detail = call.body.detail
    return await _change(
        service,
        call,
        lambda message, id_: RetryDeadLetter(message_id=message, delivery_id=id_, detail=detail),
    )


@handles(DROP_DELIVERY)
async def drop(service: Service, call: Call) -> Reply:
    detail = call.body.detail
    return await _change(
        service,
        call,
        lambda message, id_: DropDeadLetter(message_id=message, delivery_id=id_, detail=detail),
    )
