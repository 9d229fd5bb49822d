"""The hooks of uvicorn that the server overrides exist in the installed version."""

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from quorate.server.http_protocol import BoundedHttpProtocol
from quorate.server.lingering_close import LingeringCloseProtocol
from quorate.server.shared_capacity import SharedCapacityProtocol


@pytest.mark.parametrize(
    ("overriding", "overridden", "count"),
    [
        (BoundedHttpProtocol, SharedCapacityProtocol, 13),
        (SharedCapacityProtocol, HttpToolsProtocol, 5),
        (LingeringCloseProtocol, HttpToolsProtocol, 2),
    ],
)
def test_overridden_uvicorn_hooks_exist(overriding: type, overridden: type, count: int) -> None:
    """If uvicorn renamed a hook, a limit would silently stop working."""
    hooks = vars(overriding).items()
    overrides = [name for name, hook in hooks if getattr(hook, "__override__", False)]
    assert len(overrides) == count
    assert all(hasattr(overridden, name) for name in overrides)
