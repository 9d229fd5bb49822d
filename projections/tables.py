"""The tables of all read models, by name. They can be dropped and rebuilt from the log."""

from quorate.projections import counters, daily_usage, recipients, registry
from quorate.projections.coordination import consensus
from quorate.projections.coordination import leases as lease_models
from quorate.projections.identity import agent_settings, api_keys
from quorate.projections.identity import agents as agent_models
from quorate.projections.identity import tenants as tenant_models
from quorate.projections.mail import accounts as mail_account_models
from quorate.projections.mail import deliveries as delivery_models
from quorate.projections.mail import mailboxes, threads
from quorate.projections.mail import messages as message_models
from quorate.projections.metadata import ADDED, metadata, without
from quorate.projections.sessions import list_items as list_item_models
from quorate.projections.sessions import presets as preset_models
from quorate.projections.sessions import schedules as schedule_models
from quorate.projections.sessions import session_messages as session_message_models
from quorate.projections.sessions import session_values as session_value_models
from quorate.projections.sessions import sessions as session_models
from quorate.projections.sessions import task_lists as task_list_models
from quorate.projections.sessions import tasks as task_models

tenants = tenant_models.TABLE
keys = api_keys.TABLE
agents = agent_models.TABLE
configs = agent_settings.TABLE
leases = lease_models.TABLE
requests = consensus.TABLE
votes = consensus.VOTES
messages = message_models.TABLE
mail_entries = mailboxes.TABLE
deliveries = delivery_models.TABLE
mail_accounts = mail_account_models.TABLE
mail_threads = threads.TABLE
presets = preset_models.TABLE
task_lists = task_list_models.TABLE
list_items = list_item_models.TABLE
schedules = schedule_models.TABLE
sessions = session_models.TABLE
session_messages = session_message_models.TABLE
session_values = session_value_models.TABLE
tasks = task_models.TABLE
notices = recipients.TABLE
counts = counters.COUNTS_TABLE
holdings = counters.OWNED_TABLE
usage = daily_usage.TABLE
lease_tenant_compared = lease_models.tenant_compared
task_tenant_compared = task_models.tenant_compared

# The registry completes the metadata: it imports the tables of all read models.
__all__ = ["ADDED", "metadata", "registry", "without"]
