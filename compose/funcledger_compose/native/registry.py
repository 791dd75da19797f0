"""The real Apicurio Registry, in memory, as a plain process: a schema registry with Confluent's API."""

from pathlib import Path

from funcledger_compose.native.build import registry_program
from funcledger_compose.native.process import NativeProcess, free_port

#: Where Confluent's API is found on it.
PATH = "/apis/ccompat/v7"


def registry(folder: Path) -> NativeProcess:
    """A registry that remembers nothing when it stops; not started yet. ``folder`` is for its log."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    java = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    address = [f"-Dquarkus.http.port={port}", "-Dquarkus.http.host=127.0.0.1"]
    return NativeProcess([*java, *address, "-jar", str(registry_program())], port, folder / "registry.log")
