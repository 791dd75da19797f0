"""The real broker, database and schema registry as plain processes, where there is no container engine."""
