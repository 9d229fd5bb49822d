"""Logs of agents that send mail, for the tests of explanations."""

from quorate.domain.mail.delivery_attempts import BeginDelivery
from quorate.domain.mail.settings import MailSettings
from tests.unit.explanations.histories import RecordedLog
from tests.unit.support.sample_commands import KIM, id_of, register
from tests.unit.support.sample_mail import DOMAIN, of_delivery

NAMES = ("ann", "bob", "cat")
HOUR = 3_600_000
LONG = 10**10
KEPT_A_DAY = MailSettings(domain=DOMAIN, has_relay=True, retention_days=1)


def agents() -> RecordedLog:
    log = RecordedLog(window=LONG)
    log.do(*[register(name) for name in NAMES])
    return log


def begin(message: str = "msg_1") -> BeginDelivery:
    begun: BeginDelivery = of_delivery(
        BeginDelivery, message, contact_key=KIM.key, agent_id=id_of("ann")
    )
    return begun
