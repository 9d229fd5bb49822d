"""Release leases as a best effort: a release that does not arrive leaves the lease to expire."""

from collections.abc import Awaitable
from math import inf

from quorate.client import requests
from quorate.client.agent_context import AgentContext
from quorate.client.background_tasks import logger
from quorate.client.errors import RequestFailedError

RELEASE_TASK = "release of a lease"


async def release_lease(context: AgentContext, lease_id: str) -> None:
    """Release a lease as a best effort: a failure is logged."""
    await log_failure(send_release(context, lease_id))


async def send_release(context: AgentContext, lease_id: str) -> None:
    """Send the release under one idempotency key until the service responds.

    An abandoned attempt could still arrive, and end a lease that was granted since.
    """
    await context.execute(requests.release_lease(lease_id), timeout_seconds=inf)


async def log_failure(releasing: Awaitable[None]) -> None:
    try:
        await releasing
    except RequestFailedError as failure:
        logger.info("The release of a lease failed, so the lease will expire: %s", failure)
