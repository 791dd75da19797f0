"""Moves an embedded data directory into Kafka and MongoDB: log, consumers' positions, read models."""

from funcledger_compose.migration.errors import MigrationError
from funcledger_compose.migration.migrate import Migrated, migrate

__all__ = ["Migrated", "MigrationError", "migrate"]
