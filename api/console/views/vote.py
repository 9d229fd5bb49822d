"""One proposal: each vote with its reason, and who has not voted."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.view import PAGE_LENGTH, Place, View


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    path = {"consensus_id": place.ids["id"]}
    proposal = await caller.read("getConsensus", path)
    votes = await caller.read("listVotes", path, limit=PAGE_LENGTH, after=place.get("after"))
    electorate = await caller.read(
        "listElectorate", path, limit=PAGE_LENGTH, after=place.get("voters")
    )
    return {
        "vote": proposal.body,
        "votes": votes.body,
        "next_after": votes.next_after,
        "electorate": electorate.body,
        "next_voters": electorate.next_after,
    }


VIEW = View(
    name="vote",
    path="/votes/{id}",
    title="Vote",
    template="vote.html",
    load=load,
    needs=("getConsensus", "listVotes", "listElectorate"),
    filters=("after", "voters"),
    in_navigation=False,
)
