"""Synchronous variant of ``agent.mail`` (client/mail.py)."""

from quorate.client import mail
from quorate.client.sync_proxy import Method, SyncProxy, iterate, run


class Mailbox(SyncProxy):
    """The mailbox of a connected agent: ``agent.mail``."""

    _target: mail.Mailbox

    address = run(mail.Mailbox.address)
    send = run(mail.Mailbox.send)
    reply = run(mail.Mailbox.reply)
    request = run(mail.Mailbox.request)
    gather = run(mail.Mailbox.gather)
    collect = run(mail.Mailbox.collect)
    incoming = Method(mail.Mailbox.incoming, iterate)
    inbox = run(mail.Mailbox.inbox)
    sent = run(mail.Mailbox.sent)
    message = run(mail.Mailbox.message)
    attachment = run(mail.Mailbox.attachment)
    thread = run(mail.Mailbox.thread)
    search = run(mail.Mailbox.search)
    iterate_inbox = Method(mail.Mailbox.iterate_inbox, iterate)
    iterate_sent = Method(mail.Mailbox.iterate_sent, iterate)
    iterate_thread = Method(mail.Mailbox.iterate_thread, iterate)
    ack = run(mail.Mailbox.ack)
    read = run(mail.Mailbox.read)
    unread = run(mail.Mailbox.unread)
    star = run(mail.Mailbox.star)
    delete = run(mail.Mailbox.delete)
    account = run(mail.Mailbox.account)
    policy = run(mail.Mailbox.policy)
    set_policy = run(mail.Mailbox.set_policy)
