"""What keeps a migration from being done, as sentences for people."""

from funcledger_compose.settings import SettingsError


class MigrationError(SettingsError):
    """Raised when nothing, or nothing more, can be moved; the message says what to do."""
