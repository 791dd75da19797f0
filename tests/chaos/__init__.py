"""Random kills under load, and an auditor of what they leave behind: ``python -m tests.chaos --help``."""
