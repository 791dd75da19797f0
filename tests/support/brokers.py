"""A cluster of three brokers, each a process that can be killed and started again."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from tests.support.deadlines import scaled
from tests.support.poll import until_sync

from funcledger_compose.native.kafka import broker, new_cluster
from funcledger_compose.native.process import NativeProcess, free_port

_NUMBERS = (1, 2, 3)
#: Of what one broker alone cannot have, as three have it.
_THREEFOLD = {
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
}


class ThreeBrokers:
    """The brokers by their numbers; all three are controllers too, two of which must agree."""

    def __init__(self, folder: Path) -> None:
        """Raises ``PartMissing`` where there are none to be had."""
        self._controllers = {number: free_port() for number in _NUMBERS}
        cluster = new_cluster()
        self.brokers = {
            number: broker(folder / str(number), self._settings(number), cluster=cluster, memory="256m")
            for number in _NUMBERS
        }

    def _settings(self, number: int) -> dict[str, str]:
        controller = f"CONTROLLER://127.0.0.1:{self._controllers[number]}"
        voters = (f"{each}@127.0.0.1:{port}" for each, port in self._controllers.items())
        return _THREEFOLD | {
            "node.id": str(number),
            "controller.quorum.voters": ",".join(voters),
            "listeners": f"PLAINTEXT://127.0.0.1:{{port}},{controller}",
        }

    @property
    def bootstrap(self) -> str:
        """All of them, as clients write them."""
        return ",".join(each.address for each in self.brokers.values())

    def start(self, numbers: Iterable[int] = _NUMBERS) -> None:
        """Start these, at once, since none answers before two are there; returns once each is a member."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(NativeProcess.start, [self.brokers[number] for number in numbers]))
        running = sum(each.running for each in self.brokers.values())
        until_sync(lambda: self._members() >= running, 60)

    def _members(self) -> int:
        try:
            return len(
                AdminClient({"bootstrap.servers": self.bootstrap}).list_topics(timeout=scaled(5)).brokers
            )
        except KafkaException:
            return 0

    def stop(self) -> None:
        """End all of them, at once: the last two would wait for each other."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(NativeProcess.stop, self.brokers.values()))
