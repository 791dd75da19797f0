"""The worker process: the only part of an endpoint that opens payloads (law 10)."""
