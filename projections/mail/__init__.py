"""Read models of mail: messages, mailboxes, deliveries, accounts and threads."""
