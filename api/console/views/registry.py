"""The views of the console in the order of the navigation. This module only lists.

To add a view, write one module and one template, and list the view here:

* ``api/console/views/<name>.py`` has a function ``load(caller, place)``. It calls operations with
  ``await caller.read("listLeases", after=place.get("after"), limit=PAGE_LENGTH)`` and returns the
  variables of the template. It contains no rule and no SQL. ``VIEW = View(...)`` declares the rest.
* ``api/console/templates/<template>`` extends ``layout.html`` and fills the block ``content``.
  Everything that changes is inside ``{% call live(id, tag, class) %}``: such an element is patched
  in place. Live elements contain no live elements.
* Rows are live elements with ids ``<kind>-<id>`` in a container with ``data-rows`` and
  ``data-kind="<kind>-"``. New rows come at its end (``data-rows="first"``: at its start).
* ``macros.html`` has what templates share: times (``when``), ages (``age``), links, badges,
  bars, actions and the links between pages. Never mark text as safe: every value is escaped, and
  the environment removes bidi controls.
* A view with ``needs=("listDeadLetters",)`` is shown to roles that may call these operations.

Tests take every view from this list (``tests/integration/api/console/``).
"""

from quorate.api.console.views import (
    agent,
    agents,
    audit,
    contact,
    event,
    leases,
    log,
    mail,
    mail_thread,
    overview,
    schedules,
    session,
    sessions,
    task,
    task_lists,
    tasks,
    tasks_in_state,
    vote,
    votes,
    why,
)
from quorate.api.console.views.view import View

VIEWS: tuple[View, ...] = (
    overview.VIEW,
    agents.VIEW,
    agent.VIEW,
    leases.VIEW,
    contact.VIEW,
    votes.VIEW,
    vote.VIEW,
    mail.VIEW,
    mail_thread.VIEW,
    sessions.VIEW,
    session.VIEW,
    tasks.VIEW,
    tasks_in_state.VIEW,
    task.VIEW,
    task_lists.VIEW,
    schedules.VIEW,
    log.VIEW,
    event.VIEW,
    audit.VIEW,
    why.VIEW,
)
