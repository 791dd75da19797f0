"""The endpoints' door to the log, and the keeper of tasks whose endpoint is away."""
