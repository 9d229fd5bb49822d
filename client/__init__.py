"""What an agent imports to take part: it needs the base install and nothing of the server.

Everything public is here; importing this loads none of it until it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorate.client.agent import Agent as Agent
    from quorate.client.config import Settings as Settings
    from quorate.client.consensus import Proposal as Proposal
    from quorate.client.errors import CallFailed as CallFailed
    from quorate.client.errors import Conflicted as Conflicted
    from quorate.client.errors import LeaseLost as LeaseLost
    from quorate.client.errors import NotFound as NotFound
    from quorate.client.errors import Unauthorized as Unauthorized
    from quorate.client.errors import Unavailable as Unavailable
    from quorate.client.lease import Lease as Lease
    from quorate.client.notifications import NotificationFeed as NotificationFeed
    from quorate.client.rejections import ActingAsAnother as ActingAsAnother
    from quorate.client.rejections import AgentInactive as AgentInactive
    from quorate.client.rejections import AgentNotFound as AgentNotFound
    from quorate.client.rejections import AlreadyVoted as AlreadyVoted
    from quorate.client.rejections import ConsensusClosed as ConsensusClosed
    from quorate.client.rejections import ConsensusNotFound as ConsensusNotFound
    from quorate.client.rejections import ContactEmailInvalid as ContactEmailInvalid
    from quorate.client.rejections import InvalidRequest as InvalidRequest
    from quorate.client.rejections import KeyRefused as KeyRefused
    from quorate.client.rejections import LeaseConflict as LeaseConflict
    from quorate.client.rejections import LeaseEnded as LeaseEnded
    from quorate.client.rejections import LeaseNotFound as LeaseNotFound
    from quorate.client.rejections import NotEligible as NotEligible
    from quorate.client.rejections import QuotaExceeded as QuotaExceeded
    from quorate.client.rejections import RateLimited as RateLimited
    from quorate.client.rejections import Refused as Refused
    from quorate.client.rejections import RoleForbidden as RoleForbidden
    from quorate.client.rejections import TenantForbidden as TenantForbidden
    from quorate.client.results import AgentInfo as AgentInfo
    from quorate.client.results import ConsensusInfo as ConsensusInfo
    from quorate.client.results import HeartbeatInfo as HeartbeatInfo
    from quorate.client.results import HolderInfo as HolderInfo
    from quorate.client.results import KeyInfo as KeyInfo
    from quorate.client.results import LeaseInfo as LeaseInfo
    from quorate.client.results import Notification as Notification
    from quorate.client.results import NotificationPage as NotificationPage
    from quorate.client.results import SendVerdict as SendVerdict
    from quorate.client.results import TenantInfo as TenantInfo
    from quorate.client.results import VoteInfo as VoteInfo
    from quorate.client.transports.sync_http import Caller as Caller
    from quorate.domain.identity.agents import AgentRef as AgentRef

_HOMES = {
    "quorate.client.agent": ("Agent",),
    "quorate.client.transports.sync_http": ("Caller",),
    "quorate.client.errors": (
        *("CallFailed", "Conflicted", "LeaseLost", "NotFound", "Unauthorized", "Unavailable"),
    ),
    "quorate.client.notifications": ("NotificationFeed",),
    "quorate.client.lease": ("Lease",),
    "quorate.client.consensus": ("Proposal",),
    "quorate.client.rejections": (
        *("ActingAsAnother", "AgentInactive", "AgentNotFound", "AlreadyVoted", "ConsensusClosed"),
        *("ConsensusNotFound", "ContactEmailInvalid", "InvalidRequest", "KeyRefused"),
        *("LeaseConflict", "LeaseEnded", "LeaseNotFound", "NotEligible", "QuotaExceeded"),
        *("RateLimited", "Refused"),
        *("RoleForbidden", "TenantForbidden"),
    ),
    "quorate.client.results": (
        *("AgentInfo", "ConsensusInfo", "HeartbeatInfo", "HolderInfo", "KeyInfo", "LeaseInfo"),
        *("Notification", "NotificationPage", "SendVerdict", "TenantInfo", "VoteInfo"),
    ),
    "quorate.client.config": ("Settings",),
    "quorate.domain.identity.agents": ("AgentRef",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # A type checker would take any name for one of ours.

    def __getattr__(name: str) -> object:
        home = _HOME_OF.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
