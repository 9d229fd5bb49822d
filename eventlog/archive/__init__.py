"""Archives, backups and exports of the log."""
