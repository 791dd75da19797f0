"""The endpoint: an agent that follows its tasks, runs them on an engine, and appends what became of them."""
