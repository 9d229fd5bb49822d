"""One contact: who holds it now, and all grants, conflicts and sends that the log contains."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.recent_events import recent_events
from quorate.api.console.views.view import Place, View


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    email = place.ids["email"]
    leases = await caller.read("listLeases", contact_email=email, limit=1)
    history = await recent_events(caller, before=place.get("before"), contact_email=email)
    return {"email": email, "leases": leases.body, "history": history}


VIEW = View(
    name="contact",
    path="/contacts/{email}",
    title="Contact",
    template="contact.html",
    load=load,
    needs=("listLeases",),
    filters=("before",),
    in_navigation=False,
)
