"""The projector of ``funcledger up`` as a process of its own, beside the server (decision 22)."""
