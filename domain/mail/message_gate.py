"""Judge whether a message may leave for a person: when it is queued, and before each attempt."""

from typing import Any

from quorate.domain.coordination.send_gate import find_block
from quorate.domain.mail.accounts import account_of
from quorate.domain.mail.deliveries import SENDING_FROZEN, MessageBlocked
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp


def find_message_block(
    state: TenantState,
    now: Timestamp,
    delivery: dict[str, Any],
    agent_name: str,
    fence: int | None,
) -> MessageBlocked | None:
    """Return the block of a delivery, by the send gate or a frozen sender; None if there is none.

    ``delivery`` are the fields that all events of a queued delivery have.
    """
    block = find_block(state, delivery["agent_id"], delivery["contact_key"], fence)
    if block is not None:
        return MessageBlocked(
            **delivery,
            agent_name=agent_name,
            reason=block.reason,
            holder_id=block.holder_id,
            holder_name=block.holder_name,
            expires_at=block.expires_at,
        )
    if account_of(state, delivery["agent_id"], now).frozen_at is not None:
        return MessageBlocked(**delivery, agent_name=agent_name, reason=SENDING_FROZEN)
    return None
