"""The command ``funcledger``, whose server takes an agent for stuck after 3 seconds without a sign."""

from funcledger_compose import local_endpoint
from funcledger_compose.main import main

if __name__ == "__main__":
    local_endpoint._LOOK = 0.2
    main()
