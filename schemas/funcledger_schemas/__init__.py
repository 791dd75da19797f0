"""The facts: events, their wire format and the pure rules of a task's life. Importing this loads nothing."""
