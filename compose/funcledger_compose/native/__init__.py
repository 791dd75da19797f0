"""The real broker and a MongoDB-compatible server as plain processes, where there is no container engine."""
