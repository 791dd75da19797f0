"""``python -m funcledger_compose``: the same as the ``funcledger`` command."""

from funcledger_compose.main import main

main()
