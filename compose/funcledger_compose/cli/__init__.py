"""The ``funcledger`` command, a module for each noun."""
