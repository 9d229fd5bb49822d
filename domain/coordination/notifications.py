"""Notifications of leases, the send gate and consensus proposals."""

from collections.abc import Sequence

from quorate.domain.shared.notifications import Data, Notification, Rule, Rules, ToAgent, to_all

_LEASE_AVAILABLE = "lease_available"
# The data of ``lease_available``; the agent is the last holder.
_AVAILABLE = ("leaseId", "contactKey", "contactEmail", "agentId")


def _to_both_sides(name: str) -> Rule:
    """Notify the rejected agent and, where there is one, the holder.

    Both may be one agent, with two instances. It is notified once.
    """

    def notify(data: Data) -> Sequence[Notification]:
        public = dict(data)
        holder_id = public.pop("holderId", None)
        holder_name = public.pop("holderName", None)
        sides = [data["agentId"]]
        if holder_id is not None:
            sides.append(holder_id)
            holder = public.pop("holder", None)
            public["conflict"] = True
            public["leaseHolder"] = {
                "agentId": holder_id,
                "agentName": holder_name,
                "expiresAt": public.pop("expiresAt"),
                **({} if holder is None else {"holder": holder}),
            }
        return [
            Notification(audience=ToAgent(agent_id=side), name=name, data=public)
            for side in dict.fromkeys(sides)
        ]

    return Rule(names=(name,), notify=notify)


def _to_holder_and_contenders(name: str) -> Rule:
    """Notify the agent whose lease ended, and each contender: the contact may be free now.

    An agent is notified once of an event. Where another instance of the holder contended, the end
    of the lease is the notification of both.
    """

    def notify(data: Data) -> Sequence[Notification]:
        public = dict(data)
        contenders = public.pop("contenders", ())
        found = [Notification(audience=ToAgent(agent_id=data["agentId"]), name=name, data=public)]
        available = {field: data[field] for field in _AVAILABLE} if contenders else {}
        found += [
            Notification(
                audience=ToAgent(agent_id=contender), name=_LEASE_AVAILABLE, data=available
            )
            for contender in contenders
            if contender != data["agentId"]
        ]
        return found

    return Rule(names=(name, _LEASE_AVAILABLE), notify=notify)


RULES: Rules = {
    "LeaseConflicted": _to_both_sides("lease_conflict"),
    "LeaseReleased": _to_holder_and_contenders("lease_released"),
    "LeaseExpired": _to_holder_and_contenders("lease_expired"),
    "LeaseRevoked": _to_holder_and_contenders("lease_revoked"),
    "SendBlocked": _to_both_sides("send_blocked"),
    "ConsensusRequested": to_all("consensus_requested", without="members"),
    "VoteCast": to_all("vote_cast"),
    "ConsensusDecided": to_all("consensus_decided", without="electorate"),
    "ConsensusExpired": to_all("consensus_expired"),
}
