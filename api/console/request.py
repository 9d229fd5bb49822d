"""One request of a browser: its cookie, its form, and whether it comes from the console's pages."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from quorate.api.request_reader import BodyReader, collect_headers
from quorate.contracts.problems import Problem
from quorate.runtime.asgi import Receive, Scope

COOKIE = "quorate_console"
FORM = "application/x-www-form-urlencoded"
FORM_BYTES_MAX = 16 * 1024
FIELDS_MAX = 20
_form_reader = BodyReader(bytes_max=FORM_BYTES_MAX, media=FORM)


class ConsoleRequest:
    def __init__(self, scope: Scope, receive: Receive, request_id: str) -> None:
        self.scope = scope
        self.receive = receive
        self.request_id = request_id
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = {}
        self.repeated = collect_headers(scope["headers"], self.headers)

    @property
    def query(self) -> dict[str, str]:
        """Return the parameters of the URL; one that occurs twice has its last value."""
        raw = self.scope["query_string"].decode("latin-1")
        return _fields(raw)

    @property
    def cookie(self) -> str:
        """Return the id of the session, or "". A browser sends one cookie of this name."""
        sent = self.headers.get(b"cookie", b"").decode("latin-1")
        pairs = [part.strip().partition("=") for part in sent.split(";")]
        found = [value for name, _, value in pairs if name == COOKIE]
        return found[0] if len(found) == 1 and b"cookie" not in self.repeated else ""

    @property
    def is_secure(self) -> bool:
        """Whether the browser uses TLS, here or up to a proxy."""
        forwarded = self.headers.get(b"x-forwarded-proto", b"").strip().lower()
        return self.scope.get("scheme") == "https" or forwarded == b"https"

    def require_own_origin(self) -> None:
        """Raise Problem unless a page of this host sends the request."""
        origin = self.headers.get(b"origin", b"").decode("latin-1")
        host = self.headers.get(b"host", b"").decode("latin-1")
        sent = _host_of(origin)
        if not sent or sent != host.lower() or b"origin" in self.repeated:
            raise Problem(
                "origin_forbidden", "Send this form from a page of the console on this host."
            )

    async def form(self) -> Mapping[str, str]:
        """Return the fields of the body; raise Problem."""
        body = await _form_reader.read(self.headers, self.receive)
        return _fields(body.decode("latin-1"))

    def cookie_header(self, secret: str, seconds: int) -> tuple[bytes, bytes]:
        """Return the header that sets the cookie, or deletes it for 0 seconds."""
        secure = "; Secure" if self.is_secure else ""
        limits = f"Path=/console; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
        return b"set-cookie", f"{COOKIE}={secret}; {limits}".encode("ascii")


def _host_of(origin: str) -> str:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.scheme in {"http", "https"} else ""


def _fields(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise Problem("malformed_request", "The fields are malformed.") from error
    return {name: value.replace("\x00", "") for name, value in pairs}
