"""The real Kafka broker, one node in KRaft mode, as a plain process."""

import base64
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from funcledger_compose.native.build import PartMissing, kafka_libraries
from funcledger_compose.native.java import java
from funcledger_compose.native.process import NativeProcess, free_port

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
message.max.bytes=6356992
replica.fetch.max.bytes=6356992
group.initial.rebalance.delay.ms=0
# A killed broker is let back in after this long, not after the usual nine seconds.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""


def broker(
    folder: Path,
    settings: Mapping[str, str] | None = None,
    *,
    accounts: Mapping[str, str] | None = None,
    cluster: str = "",
    memory: str = "512m",
) -> NativeProcess:
    """A broker with its data in ``folder``, formatted on first use; not started yet.

    ``settings`` are further properties, in Kafka's names, in place of ours; ``{port}`` and ``{controller}``
    in them are the ports that were chosen. ``accounts`` are passwords by name, for SCRAM-SHA-512. Brokers of
    one ``cluster`` share its id.
    """
    classpath = f"{kafka_libraries()}/*"
    properties, port = folder / "server.properties", folder / "port"
    if not properties.exists():
        folder.mkdir(parents=True, exist_ok=True)
        port.write_text(str(free_port()))
        # Of a property that is there twice, the later counts.
        lines = [_PROPERTIES, *(f"{name}={value}\n" for name, value in (settings or {}).items())]
        places = {"port": port.read_text(), "controller": free_port(), "folder": folder}
        properties.write_text("".join(lines).format_map(places))
        program = [*java(folder, "256m"), "-cp", classpath]
        _format(program, properties, cluster or new_cluster(), accounts or {})
    command = [*java(folder, memory), "-cp", classpath, "kafka.Kafka", str(properties)]
    return NativeProcess(command, int(port.read_text()), folder / "kafka.log")


def new_cluster() -> str:
    """An id for a cluster."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _format(program: list[str], properties: Path, cluster: str, accounts: Mapping[str, str]) -> None:
    told = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(properties)]
    for name, password in accounts.items():
        told += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
    done = subprocess.run([*program, *told], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PartMissing(f"the broker's storage could not be formatted:\n{done.stdout}{done.stderr}")
