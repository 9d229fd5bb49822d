"""Events that refer to contents, appended to a log with their contents."""

from quorate.domain.coordination.send_gate import SendAuthorized
from quorate.domain.shared.contents import Content
from quorate.domain.shared.records import changed
from quorate.eventlog.contents import ContentStore
from quorate.eventlog.event_store import EventStore, Heads
from quorate.eventlog.hash_chain import link, public_event
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.serialization import canonical
from quorate.eventlog.transactions import DatabaseTransaction

DATA = {"agentId": "a", "contactEmail": "kim@example.com", "contactKey": "kim@example.com"}


async def append(
    log: EventStore, tenant: str, id_: str, *contents: Content, send_id: str = "send"
) -> None:
    """Append an event, while no command bus is open."""
    async with log.write() as transaction:
        await append_in(transaction, log, tenant, id_, *contents, send_id=send_id)


async def append_in(
    transaction: DatabaseTransaction,
    log: EventStore,
    tenant: str,
    id_: str,
    *contents: Content,
    send_id: str = "send",
) -> None:
    """Append an event with a field that replays ignore, and store its contents."""
    refs = [{"part": one.part, "sha256": one.sha256, "bytes": len(one.data)} for one in contents]
    data = DATA | {"sendId": send_id} | ({"contents": refs} if refs else {})
    heads = Heads([tenant])
    await transaction.look_up(log.head_lookups(heads))
    head = heads.tenants[tenant]
    event = RecordedEvent(
        position=heads.last.position + 1,
        tenant=tenant,
        sequence=head.sequence + 1,
        id=f"event-{head.sequence + 1}",
        stream=f"message-{id_}",
        type=SendAuthorized.__name__,
        version=1,
        at=heads.last.at,
        actor="keytenant",
        command_id="cause",
        data=canonical(data),
        hash=b"",
    )
    body = {name: value for name, value in public_event(event).items() if name != "hash"}
    await log.append(transaction, [changed(event, hash=link(head.hash, body))])
    await ContentStore(log.database).save(transaction, [(tenant, one) for one in contents])
