"""Agent mail: messages, threads, mailboxes, delivery to people, and the accounts of senders."""
