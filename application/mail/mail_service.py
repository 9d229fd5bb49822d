"""What handlers of mail need: queries, the operator's settings, and the domains of tenants."""

import asyncio
from collections.abc import Callable

from quorate.domain.mail.settings import MailSettings, RetryPolicy
from quorate.domain.shared.records import changed, record
from quorate.projections.mail.inbound import ReceivedIds
from quorate.projections.mail.queries import MailReader
from quorate.projections.mail.search import MailSearch
from quorate.projections.mail.unread import UnreadQuery

PARSED_AT_ONCE_MAX = 2


@record
class MailService:
    """``settings`` are those of the service; ``domain_of`` returns the mail domain of a tenant.

    ``parsers`` limits how many messages of many MiB threads parse at a time.
    """

    reader: MailReader
    search: MailSearch
    unread: UnreadQuery
    received: ReceivedIds
    parsers: asyncio.Semaphore
    settings: MailSettings
    retry_policy: RetryPolicy
    domain_of: Callable[[str], str]

    def settings_of(self, tenant: str) -> MailSettings:
        domain = self.domain_of(tenant)
        if domain == self.settings.domain:
            return self.settings
        return changed(self.settings, domain=domain)
