"""Valid uses of the notification router for FastStream. This program is never run."""

from pathlib import Path

from quorate.client import Gap, LeaseConflict, Notification, NotificationData
from quorate.client.faststream import FileCursor, NotificationRouter

router = NotificationRouter.for_key(cursor=FileCursor(Path("agent.cursor")))


@router.on(LeaseConflict)
async def handle_conflict(conflict: LeaseConflict) -> None:
    assert conflict.lease_holder.agent_name


@router.on(LeaseConflict, Gap)
async def handle_both(data: LeaseConflict | Gap, notification: Notification) -> None:
    assert data is notification.data


@router.on(NotificationData)
async def handle_all(data: NotificationData) -> None:
    assert isinstance(data, NotificationData)
