"""The log: the port every part writes to and follows, its adapters, and the narrow port of an agent."""
