"""The groups of operations of both clients: one method for each function that makes a request.

The exceptions are those of ``Client.execute``. For another timeout, or for an own idempotency key,
use ``client.execute(requests.…)``.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Generic, overload

from quorate.client import mail_requests, preset_requests, requests
from quorate.client.callers import AsyncCaller, BlockingCaller
from quorate.client.event_reader import read_events, read_events_async
from quorate.client.operation_groups import (
    CallerT_co,
    Group,
    Method,
    Pages,
    all_items,
    following_log_page,
)
from quorate.client.results import Notification, NotificationPage
from quorate.client.session_groups import Schedules, Sessions, TaskLists, Tasks
from quorate.contracts.event_log import EventInfo, EventsInfo


def _page_itself(page: EventsInfo) -> tuple[EventsInfo]:
    return (page,)


def _notifications_of(page: NotificationPage) -> tuple[Notification, ...]:
    return page.notifications


# -- Groups ------------------------------------------------------------------


class Agents(Group[CallerT_co]):
    """Register and deregister agents, send heartbeats, and read agents and their settings."""

    register = Method(requests.register)
    heartbeat = Method(requests.heartbeat)
    deregister = Method(requests.deregister)
    remove = Method(requests.remove_agent)
    deactivate = Method(requests.deactivate_agent)
    get = Method(requests.get_agent)
    list = Method(requests.list_agents)
    iterate = all_items(requests.list_agents)
    get_config = Method(requests.get_config)
    put_config = Method(requests.put_config)


class Leases(Group[CallerT_co]):
    """Acquire, renew, release and read leases. Nothing renews them in the background."""

    acquire = Method(requests.acquire_lease)
    renew = Method(requests.renew_lease)
    release = Method(requests.release_lease)
    end = Method(requests.end_lease)
    get = Method(requests.get_lease)
    list = Method(requests.list_leases)
    iterate = all_items(requests.list_leases)


class SendGate(Group[CallerT_co]):
    """Request permission to contact a person."""

    request = Method(requests.request_send)


class Consensus(Group[CallerT_co]):
    """Create and cancel proposals, vote on them, and read both."""

    request = Method(requests.request_consensus)
    vote = Method(requests.cast_vote)
    cancel = Method(requests.cancel_consensus)
    end = Method(requests.end_consensus)
    get = Method(requests.get_consensus)
    list = Method(requests.list_consensus)
    iterate = all_items(requests.list_consensus)
    votes = Method(requests.list_votes)
    iterate_votes = all_items(requests.list_votes)
    electorate = Method(requests.list_electorate)
    iterate_electorate = all_items(requests.list_electorate)


class Notifications(Group[CallerT_co]):
    """Read the notifications of an agent: ``list`` returns one page, ``iterate`` reads all."""

    list = Method(requests.list_notifications)
    iterate = Pages(requests.list_notifications, _notifications_of, following_log_page)


class Mail(Group[CallerT_co]):
    """The mailbox of an agent; ``Agent.mail`` also waits for messages."""

    send = Method(mail_requests.send)
    inbox = Method(mail_requests.list_inbox)
    sent = Method(mail_requests.list_sent)
    message = Method(mail_requests.get_message)
    attachment = Method(mail_requests.get_attachment)
    thread = Method(mail_requests.get_thread)
    search = Method(mail_requests.search)
    read = Method(mail_requests.mark_read)
    unread = Method(mail_requests.mark_unread)
    ack = Method(mail_requests.acknowledge)
    star = Method(mail_requests.star)
    delete = Method(mail_requests.delete_message)
    account = Method(mail_requests.get_account)
    policy = Method(mail_requests.get_policy)
    set_policy = Method(mail_requests.set_policy)


class Keys(Group[CallerT_co]):
    """Issue, list, rotate and revoke API keys."""

    issue = Method(requests.issue_key)
    rotate = Method(requests.rotate_key)
    revoke = Method(requests.revoke_key)
    own = Method(requests.get_own_key)
    list = Method(requests.list_keys)
    iterate = all_items(requests.list_keys)


class Presets(Group[CallerT_co]):
    """Create, replace, read and remove presets, and list the tools that the caller may use."""

    put = Method(preset_requests.put_preset)
    get = Method(preset_requests.get_preset)
    list = Method(preset_requests.list_presets)
    iterate = all_items(preset_requests.list_presets)
    delete = Method(preset_requests.delete_preset)
    tools = Method(preset_requests.list_tools)


class Tenants(Group[CallerT_co]):
    """Create, list, suspend and resume tenants, and set their limits (admin keys only).

    A tenant key may get, pause and unpause its own tenant.
    """

    create = Method(requests.create_tenant)
    get = Method(requests.get_tenant)
    suspend = Method(requests.suspend_tenant)
    resume = Method(requests.resume_tenant)
    pause = Method(requests.pause_tenant)
    unpause = Method(requests.unpause_tenant)
    set_limits = Method(requests.set_tenant_limits)
    mail_domain = Method(requests.get_mail_domain)
    set_mail_domain = Method(requests.set_mail_domain)
    list = Method(requests.list_tenants)
    iterate = all_items(requests.list_tenants)


class Quotas(Group[CallerT_co]):
    """Read the quotas and their use."""

    get = Method(requests.get_quotas)


class Events(Group[CallerT_co]):
    """Read the event log: ``client.events()`` yields all events, ``list`` returns one page."""

    list = Method(requests.list_events)
    contents = Method(requests.list_contents)
    explain = Method(requests.explain)
    pages = Pages(requests.list_events, _page_itself, following_log_page)

    @overload
    def __call__(
        self: "Events[BlockingCaller]", after: int = 0, *, follow: bool = False
    ) -> Iterator[EventInfo]: ...
    @overload
    def __call__(
        self: "Events[AsyncCaller]", after: int = 0, *, follow: bool = False
    ) -> AsyncIterator[EventInfo]: ...
    def __call__(
        self: "Events[Any]", after: int = 0, *, follow: bool = False
    ) -> Iterator[EventInfo] | AsyncIterator[EventInfo]:
        """Yield all events after the sequence ``after``, in order.

        The iteration ends at the head of the log. With ``follow``, it continues with the event
        stream without end, and resumes a lost stream after the last event.

        Raises EventsArchivedError at events that were moved to archive files: continue with
        ``after=error.until``. The other exceptions are those of ``execute``; a lost stream raises
        nothing.
        """
        caller = self._caller
        if isinstance(caller, BlockingCaller):
            return read_events(caller, after, follow=follow)
        return read_events_async(caller, after, follow=follow)


class Resources(Generic[CallerT_co]):
    """The groups of a client."""

    @property
    def _caller(self) -> CallerT_co:
        raise NotImplementedError

    @property
    def agents(self) -> Agents[CallerT_co]:
        return Agents(self._caller)

    @property
    def leases(self) -> Leases[CallerT_co]:
        return Leases(self._caller)

    @property
    def send_gate(self) -> SendGate[CallerT_co]:
        return SendGate(self._caller)

    @property
    def consensus(self) -> Consensus[CallerT_co]:
        return Consensus(self._caller)

    @property
    def notifications(self) -> Notifications[CallerT_co]:
        return Notifications(self._caller)

    @property
    def mail(self) -> Mail[CallerT_co]:
        return Mail(self._caller)

    @property
    def keys(self) -> Keys[CallerT_co]:
        return Keys(self._caller)

    @property
    def presets(self) -> Presets[CallerT_co]:
        return Presets(self._caller)

    @property
    def sessions(self) -> Sessions[CallerT_co]:
        return Sessions(self._caller)

    @property
    def tasks(self) -> Tasks[CallerT_co]:
        return Tasks(self._caller)

    @property
    def task_lists(self) -> TaskLists[CallerT_co]:
        return TaskLists(self._caller)

    @property
    def schedules(self) -> Schedules[CallerT_co]:
        return Schedules(self._caller)

    @property
    def tenants(self) -> Tenants[CallerT_co]:
        return Tenants(self._caller)

    @property
    def quotas(self) -> Quotas[CallerT_co]:
        return Quotas(self._caller)

    @property
    def events(self) -> Events[CallerT_co]:
        return Events(self._caller)
