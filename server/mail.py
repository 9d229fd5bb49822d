"""Build what mail needs from the options of the operator."""

from collections.abc import Callable

from quorate.application.mail.mail_service import MailService
from quorate.domain.mail.settings import MailSettings, RetryPolicy
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.event_store import EventStore
from quorate.projections.mail.queries import MailReader
from quorate.projections.mail.search import MailSearch
from quorate.server.options import Options

DEFAULT_TENANT = "default"


def create_mail_service(
    log: EventStore, options: Options, clock: Callable[[], Timestamp]
) -> MailService:
    del options
    domain = "agents.localhost"

    def domain_of(tenant: str) -> str:
        if tenant == DEFAULT_TENANT:
            return domain
        return f"{tenant.lower().replace('_', '-')}.{domain}"

    return MailService(
        reader=MailReader(log, clock),
        search=MailSearch(log, clock),
        settings=MailSettings(domain=domain),
        retry_policy=RetryPolicy(),
        domain_of=domain_of,
        tenant_of=lambda _domain: None,
    )
