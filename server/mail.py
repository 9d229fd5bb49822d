"""Build what mail needs from the options of the operator."""

import asyncio
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry

from quorate.application.mail.mail_service import PARSED_AT_ONCE_MAX, MailService
from quorate.application.mail.outbound import CommitSignal, OutboundRelay
from quorate.application.mail.relay_metrics import RelayMetrics
from quorate.application.mail.tenant_domains import TenantDomains
from quorate.domain.mail.settings import MailSettings
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.unit_of_work import NewId
from quorate.projections.mail.inbound import ReceivedIds
from quorate.projections.mail.outgoing import OutgoingMail
from quorate.projections.mail.queries import MailReader
from quorate.projections.mail.search import MailSearch
from quorate.projections.mail.unread import UnreadQuery
from quorate.server.leader_election import Task
from quorate.server.options import Options

OUTBOUND = "outbound_mail"


def create_mail_service(
    log: EventStore, options: Options, domains: TenantDomains, clock: Callable[[], Timestamp]
) -> MailService:
    mail = options.mail
    return MailService(
        reader=MailReader(log, clock),
        search=MailSearch(log, clock),
        unread=UnreadQuery(log, clock),
        received=ReceivedIds(log),
        parsers=asyncio.Semaphore(PARSED_AT_ONCE_MAX),
        settings=MailSettings(
            domain=domains.mail_domain,
            has_relay=mail.smtp_url is not None,
            limits=mail.limits,
            ack_minutes=mail.ack_minutes,
            retention_days=mail.retention_days,
        ),
        retry_policy=mail.retry,
        domain_of=domains.domain_of,
    )


def create_mail_tasks(  # noqa: PLR0917 - the parts that the relay uses.
    log: EventStore,
    options: Options,
    command_bus: CommandBus,
    clock: Callable[[], Timestamp],
    new_id: NewId,
    signal: CommitSignal,
    registry: CollectorRegistry,
) -> Mapping[str, Task]:
    """Return the tasks of the leader: the outbound relay, if the operator gives an SMTP relay."""
    metrics, mail = RelayMetrics(registry), options.mail
    if mail.smtp_url is None:
        return {}
    # Imported here: a service without a relay does not need aiosmtplib.
    from quorate.server.smtp import SmtpTransport  # noqa: PLC0415

    transport = SmtpTransport(
        mail.smtp_url,
        mail.smtp_password_file,
        client_name=options.mail_domain,
        ca_file=mail.smtp_ca_file,
    )
    relay = OutboundRelay(
        *(command_bus, OutgoingMail(log), transport, mail.retry, clock, new_id),
        signal=signal,
        metrics=metrics,
    )
    return {OUTBOUND: relay.run}
