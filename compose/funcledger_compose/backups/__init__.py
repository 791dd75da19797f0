"""Backups of a data directory: taken while its server runs, checked, and put back."""
