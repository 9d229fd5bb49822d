"""Build what mail needs from the options of the operator."""

from collections.abc import Callable

from quorate.application.mail.mail_service import MailService
from quorate.application.mail.tenant_domains import TenantDomains
from quorate.domain.mail.settings import MailSettings, RetryPolicy
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.event_store import EventStore
from quorate.projections.mail.queries import MailReader


def create_mail_service(
    log: EventStore, domains: TenantDomains, clock: Callable[[], Timestamp]
) -> MailService:
    return MailService(
        reader=MailReader(log, clock),
        settings=MailSettings(domain=domains.mail_domain),
        retry_policy=RetryPolicy(),
        domain_of=domains.domain_of,
    )
