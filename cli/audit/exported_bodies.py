"""Fetch the message bodies to which exported events refer, and write them after their events.

* The service has the bodies of archived events too. Those of a range of events are read by
  sequence, those of archived events by the id of their message.
* A body that is missing was erased, as a later event says. Else it was erased during the export.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from quorate.cli.output.errors import Failure

if TYPE_CHECKING:
    from quorate.client.transports.sync_http import Client
    from quorate.contracts.event_log import ContentInfo

TIMEOUT_SECONDS = 30.0  # With all retries.
IDS_PER_REQUEST = 100


class ExportedBodies:
    """Reads pages of bodies when an event needs them; few events do."""

    def __init__(self, client: "Client") -> None:
        from quorate.eventlog.archive.content_lines import ContentCheck

        self.check = ContentCheck()
        self._client = client
        self._read_until = 0  # The last sequence whose bodies were read.
        self._bodies: dict[str, list[ContentInfo]] = {}  # By the id of their message.

    def read_archived(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Read ahead the bodies of these events, which are IDS_PER_REQUEST at most."""
        from quorate.client import requests
        from quorate.eventlog.archive.content_lines import REFS

        ids = [_id(event) for event in events if event["data"].get(REFS)]
        self._bodies.clear()
        while ids:
            request = requests.list_contents(ids=ids)
            page = self._client.execute(request, timeout_seconds=TIMEOUT_SECONDS)
            if page.next < 1:
                raise Failure("The service does not send the bodies of archived events")
            self._keep(page.contents)
            ids = ids[page.next :]

    def write_after(self, event: Mapping[str, Any], sink: BinaryIO, until: int = 0) -> None:
        """Write the bodies of an event, each verified; raises Failure.

        ``until`` is the last sequence of its page: bodies are read ahead up to it.
        """
        from quorate.eventlog.archive.content_lines import REFS
        from quorate.eventlog.archive.export_format import encode_content

        try:
            self.check.begin(event["stream"], event["type"], event["data"])
            if not event["data"].get(REFS):
                return
            if self._read_until < event["sequence"] <= until:
                self._read(event["sequence"], until)
            for body in self._bodies.pop(_id(event), ()):
                content = self.check.check(_line(body))
                sink.write(encode_content(content))
        except ValueError as error:
            raise Failure(
                f"Event {event['sequence']}: the service sent another body: {error}"
            ) from error

    def _read(self, sequence: int, until: int) -> None:
        from quorate.client import requests

        request = requests.list_contents(after=sequence - 1, limit=until - sequence + 1)
        page = self._client.execute(request, timeout_seconds=TIMEOUT_SECONDS)
        self._bodies.clear()
        self._keep(page.contents)
        self._read_until = page.next

    def _keep(self, bodies: "Sequence[ContentInfo]") -> None:
        for body in bodies:
            self._bodies.setdefault(body.id, []).append(body)


def _id(event: Mapping[str, Any]) -> str:
    from quorate.domain.shared.contents import content_id_of

    return content_id_of(event["stream"])


def _line(body: "ContentInfo") -> dict[str, str]:
    return {"id": body.id, "part": body.part, "salt": body.salt, "data": body.data}
