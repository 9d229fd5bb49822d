"""Starting a process costs more than most tests: only these modules start services.

All others take a service of their module or session from a fixture. A new entry needs a reason: the
test stops or breaks its service, sets options, or inspects the complete state.
"""

import ast

from tests.architecture.source_tree import MODULES, layer_of, path_name

STARTERS = {"ServiceProcess", "run_service"}
START = {
    "tests/architecture/trials/interfaces.py",
    "tests/chaos/crash/rounds.py",
    "tests/chaos/fleet/fleet.py",
    "tests/e2e/cli/test_archive_command.py",
    "tests/e2e/cli/test_archived_bodies.py",
    "tests/e2e/cli/test_backup_and_restore.py",
    "tests/e2e/cli/test_doctor.py",
    "tests/e2e/cli/test_lease_run.py",
    "tests/e2e/cli/test_mcp.py",
    "tests/e2e/cli/test_message_bodies.py",
    "tests/e2e/cli/test_watch.py",
    "tests/e2e/console/conftest.py",
    "tests/e2e/client/agent_fleet.py",
    "tests/e2e/service/test_mcp_clients.py",
    "tests/e2e/containers/deployment.py",
    "tests/e2e/containers/test_tls.py",
    "tests/e2e/service/conftest.py",
    "tests/e2e/service/service_process.py",
    "tests/e2e/service/shared_service.py",
    "tests/e2e/service/test_data_directory.py",
    "tests/e2e/service/test_disk_full.py",
    "tests/e2e/service/test_external_nats.py",
    "tests/e2e/service/test_first_release_data.py",
    "tests/e2e/service/test_forked_process.py",
    "tests/e2e/service/test_lifecycle_log_events.py",
    "tests/e2e/service/test_outbound_mail.py",
    "tests/e2e/service/test_readiness.py",
    "tests/e2e/service/test_restored_log.py",
    "tests/e2e/service/test_sqlite_workers.py",
    "tests/e2e/service/test_start_and_stop.py",
    "tests/e2e/service/test_traces.py",
    "tests/e2e/service/test_workers.py",
    "tests/integration/api/console/test_where_sessions_live.py",
    "tests/integration/api/in_process.py",
    "tests/integration/api/test_asyncapi_page.py",
    "tests/integration/api/test_generators.py",
    "tests/integration/api/test_schemathesis.py",
    "tests/integration/api/ways.py",
}
# They are about the start itself, or kill a process while it starts.
EXECUTE = {"tests/chaos/crash/rounds.py", "tests/e2e/service/test_start_and_stop.py"}

TEST_MODULES = [path for path in MODULES if layer_of(path) == "tests"]


def calls(text: str) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]


def starts_services(text: str) -> bool:
    return any(isinstance(one.func, ast.Name) and one.func.id in STARTERS for one in calls(text))


def executes(text: str) -> bool:
    return any(word.arg == "executed" for one in calls(text) for word in one.keywords)


def test_listed_modules_start_services() -> None:
    found = {path_name(path) for path in TEST_MODULES if starts_services(path.read_text())}

    assert found == START


def test_listed_modules_execute_services() -> None:
    found = {path_name(path) for path in TEST_MODULES if executes(path.read_text())}

    assert found == EXECUTE


def test_started_service_is_found() -> None:
    assert starts_services("with run_service(folder) as service: pass")
    assert executes("ServiceProcess(folder, executed=True)")
    assert not starts_services("def test(service: ServiceProcess) -> None: service.restart()")
