"""What an agent imports to take part: it needs the base install and nothing of the server.

Everything public is here; importing this loads none of it until it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorate.client.agent import Agent as Agent
    from quorate.client.calling import Caller as Caller
    from quorate.client.failures import CallFailed as CallFailed
    from quorate.client.failures import Conflicted as Conflicted
    from quorate.client.failures import LeaseLost as LeaseLost
    from quorate.client.failures import NotFound as NotFound
    from quorate.client.failures import Unauthorized as Unauthorized
    from quorate.client.failures import Unavailable as Unavailable
    from quorate.client.feed import NoticeFeed as NoticeFeed
    from quorate.client.lease import Lease as Lease
    from quorate.client.proposal import Proposal as Proposal
    from quorate.client.refusals import ActingAsAnother as ActingAsAnother
    from quorate.client.refusals import AgentInactive as AgentInactive
    from quorate.client.refusals import AgentNotFound as AgentNotFound
    from quorate.client.refusals import AlreadyVoted as AlreadyVoted
    from quorate.client.refusals import ConsensusClosed as ConsensusClosed
    from quorate.client.refusals import ConsensusNotFound as ConsensusNotFound
    from quorate.client.refusals import ContactEmailInvalid as ContactEmailInvalid
    from quorate.client.refusals import InvalidRequest as InvalidRequest
    from quorate.client.refusals import KeyRefused as KeyRefused
    from quorate.client.refusals import LeaseConflict as LeaseConflict
    from quorate.client.refusals import LeaseEnded as LeaseEnded
    from quorate.client.refusals import LeaseNotFound as LeaseNotFound
    from quorate.client.refusals import NotEligible as NotEligible
    from quorate.client.refusals import QuotaExceeded as QuotaExceeded
    from quorate.client.refusals import RateLimited as RateLimited
    from quorate.client.refusals import Refused as Refused
    from quorate.client.refusals import RoleForbidden as RoleForbidden
    from quorate.client.refusals import TenantForbidden as TenantForbidden
    from quorate.client.results import AgentInfo as AgentInfo
    from quorate.client.results import ConsensusInfo as ConsensusInfo
    from quorate.client.results import HeartbeatInfo as HeartbeatInfo
    from quorate.client.results import HolderInfo as HolderInfo
    from quorate.client.results import KeyInfo as KeyInfo
    from quorate.client.results import LeaseInfo as LeaseInfo
    from quorate.client.results import Notice as Notice
    from quorate.client.results import NoticePage as NoticePage
    from quorate.client.results import SendVerdict as SendVerdict
    from quorate.client.results import TenantInfo as TenantInfo
    from quorate.client.results import VoteInfo as VoteInfo
    from quorate.client.settings import Settings as Settings
    from quorate.domain.agents import AgentRef as AgentRef

_HOMES = {
    "quorate.client.agent": ("Agent",),
    "quorate.client.calling": ("Caller",),
    "quorate.client.failures": (
        *("CallFailed", "Conflicted", "LeaseLost", "NotFound", "Unauthorized", "Unavailable"),
    ),
    "quorate.client.feed": ("NoticeFeed",),
    "quorate.client.lease": ("Lease",),
    "quorate.client.proposal": ("Proposal",),
    "quorate.client.refusals": (
        *("ActingAsAnother", "AgentInactive", "AgentNotFound", "AlreadyVoted", "ConsensusClosed"),
        *("ConsensusNotFound", "ContactEmailInvalid", "InvalidRequest", "KeyRefused"),
        *("LeaseConflict", "LeaseEnded", "LeaseNotFound", "NotEligible", "QuotaExceeded"),
        *("RateLimited", "Refused"),
        *("RoleForbidden", "TenantForbidden"),
    ),
    "quorate.client.results": (
        *("AgentInfo", "ConsensusInfo", "HeartbeatInfo", "HolderInfo", "KeyInfo", "LeaseInfo"),
        *("Notice", "NoticePage", "SendVerdict", "TenantInfo", "VoteInfo"),
    ),
    "quorate.client.settings": ("Settings",),
    "quorate.domain.agents": ("AgentRef",),
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
