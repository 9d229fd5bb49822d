"""What handlers of mail need: queries, the operator's settings, and the domains of tenants."""

from collections.abc import Callable

from quorate.domain.mail.settings import MailSettings, RetryPolicy
from quorate.domain.shared.records import changed, record
from quorate.projections.mail.queries import MailReader


@record
class MailService:
    """``settings`` are those of the service; ``domain_of`` returns the mail domain of a tenant."""

    reader: MailReader
    settings: MailSettings
    retry_policy: RetryPolicy
    domain_of: Callable[[str], str]

    def settings_of(self, tenant: str) -> MailSettings:
        domain = self.domain_of(tenant)
        if domain == self.settings.domain:
            return self.settings
        return changed(self.settings, domain=domain)
