"""The query side: tasks, results, batches, endpoints, functions, and streams of outcomes as they land."""
