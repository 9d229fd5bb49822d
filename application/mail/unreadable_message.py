"""The error for a message from outside that cannot be accepted."""


class UnreadableMessage(Exception):
    """The message is malformed or exceeds a limit; ``why`` is written for its sender."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
