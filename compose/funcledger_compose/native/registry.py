"""The real Apicurio Registry, in memory, as a plain process: a schema registry with Confluent's API."""

from pathlib import Path

from funcledger_compose.native.build import registry_program
from funcledger_compose.native.java import java
from funcledger_compose.native.process import NativeProcess, free_port

#: Where Confluent's API is found on it.
PATH = "/apis/ccompat/v7"


def registry(folder: Path) -> NativeProcess:
    """A registry that remembers nothing when it stops; not started yet. ``folder`` is for its log."""
    port = free_port()
    address = [f"-Dquarkus.http.port={port}", "-Dquarkus.http.host=127.0.0.1"]
    command = [*java(folder, "256m"), *address, "-jar", str(registry_program())]
    return NativeProcess(command, port, folder / "registry.log")
