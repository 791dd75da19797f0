"""Figures of the product as a user meets it: a server as its own process, the SDK in this one."""
