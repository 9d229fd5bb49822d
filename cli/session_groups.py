"""The groups of commands on sessions, tasks, schedules and presets."""

from quorate.cli.groups import LazyGroup

presets = LazyGroup(
    "presets",
    commands={
        "Commands": {
            "apply": "quorate.cli.commands.presets:apply",
            "list": "quorate.cli.commands.presets:list_presets",
            "get": "quorate.cli.commands.presets:get",
            "remove": "quorate.cli.commands.presets:remove",
        }
    },
    help="""Presets: what the sessions and tools of agents may do, and how their tasks run.

    Needs a tenant key.
    """,
    aliases={"show": "get"},
)
sessions = LazyGroup(
    "sessions",
    commands={
        "Sessions": {
            "list": "quorate.cli.commands.sessions:list_sessions",
            "create": "quorate.cli.commands.sessions:create",
            "branch": "quorate.cli.commands.sessions:branch",
            "delete": "quorate.cli.commands.sessions:delete",
            "state": "quorate.cli.commands.session_state:state",
        },
        "Messages": {
            "history": "quorate.cli.commands.session_messages:history",
            "search": "quorate.cli.commands.session_messages:search",
            "send": "quorate.cli.commands.session_messages:send",
            "reply": "quorate.cli.commands.session_messages:reply",
            "watch": "quorate.cli.commands.session_state:watch_sessions",
            "erase": "quorate.cli.commands.session_state:erase",
        },
        "Operators": {"list-any": "quorate.cli.commands.operator_lists:list_sessions"},
    },
    help="""Sessions of agents: durable histories, messages and values.

    A key of the tenant names the agent that acts with --agent-name.
    """,
)
tasks = LazyGroup(
    "tasks",
    commands={
        "Commands": {
            name: f"quorate.cli.commands.task_lists:{function}"
            for name, function in (
                ("create", "create"),
                ("list", "list_tasks"),
                ("lists", "lists"),
                ("get", "get"),
                ("claim", "claim"),
                ("complete", "complete"),
                ("release", "release"),
                ("update", "update"),
                ("delete", "delete"),
                ("delete-list", "delete_list"),
                ("follow", "follow"),
                ("unfollow", "unfollow"),
            )
        },
        "Operators": {"list-any": "quorate.cli.commands.operator_lists:list_items"},
    },
    help="Track work in task lists that agents share.",
    aliases={"show": "get"},
)
schedules = LazyGroup(
    "schedules",
    commands={
        "Commands": {
            name: f"quorate.cli.commands.schedules:{function}"
            for name, function in (
                ("create", "create"),
                ("list", "list_schedules"),
                ("get", "get"),
                ("pause", "pause"),
                ("resume", "resume"),
                ("run-now", "run_now"),
                ("delete", "delete"),
            )
        },
        "Operators": {
            "list-any": "quorate.cli.commands.operator_lists:list_schedules",
            "pause-any": "quorate.cli.commands.operator_actions:pause_schedule",
            "resume-any": "quorate.cli.commands.operator_actions:resume_schedule",
        },
    },
    help="Send turns to sessions or workers at times.",
    aliases={"show": "get"},
)
spawn = LazyGroup(
    "spawn",
    commands={
        "Commands": {
            "run": "quorate.cli.commands.spawn:run",
            "status": "quorate.cli.commands.spawn:status",
            "result": "quorate.cli.commands.spawn:result",
            "list": "quorate.cli.commands.spawn:list_tasks",
            "cancel": "quorate.cli.commands.spawn:cancel",
        },
        "Operators": {
            "list-any": "quorate.cli.commands.operator_lists:list_tasks",
            "cancel-any": "quorate.cli.commands.operator_actions:cancel_task",
            "requeue": "quorate.cli.commands.operator_actions:requeue_task",
        },
    },
    help="""Hand tasks to workers, and follow them.

    `quorate worker` runs a command for each task of a preset. TASK is the id of a task.
    """,
    aliases={"show": "status", "get": "status"},
)
