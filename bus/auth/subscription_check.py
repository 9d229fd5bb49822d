"""Find connections that subscribe to one subject several times.

nats-server sends each message once per subscription, also to equal ones of the same connection. It
has no permission and no limit for this, so the service looks at the connections with most
subscriptions every CHECK_SECONDS.
"""

from collections import Counter

import orjson
from nats.aio.msg import Msg

from quorate.domain.shared.records import record

CHECK_SECONDS = 5.0
CONNECTIONS_CHECKED_MAX = 64
# Two: a client may subscribe again before it ends its earlier subscription.
EQUAL_SUBSCRIPTIONS_MAX = 2


@record
class SubscriptionList:
    """The subscriptions of one connection: ``number`` is the server's number for it."""

    server_id: str
    number: int
    key_id: str
    subjects: tuple[str, ...]

    @property
    def exceeds_limit(self) -> bool:
        counts = Counter(self.subjects)
        return max(counts.values(), default=0) > EQUAL_SUBSCRIPTIONS_MAX


def check_request(account: str) -> bytes:
    """Return the request for the connections with most subscriptions, with their subjects."""
    return orjson.dumps(
        {
            "auth": True,
            "acc": account,
            "subscriptions": True,
            "sort": "subs",
            "limit": CONNECTIONS_CHECKED_MAX,
        }
    )


def read_subscriptions(response: Msg) -> list[SubscriptionList]:
    found = orjson.loads(response.data)
    server_id = found["server"]["id"]
    return [
        SubscriptionList(
            server_id=server_id,
            number=each["cid"],
            key_id=each.get("authorized_user", ""),
            subjects=tuple(each.get("subscriptions_list") or ()),
        )
        for each in found["data"].get("connections") or ()
    ]
