"""The same parts from testcontainers, where an engine is: the images that the compose file names."""

from funcledger_compose.native.composed import Service, services
from funcledger_compose.native.process import free_port
from funcledger_compose.native.stack import COMPOSE_FILE

_REGISTRY_FILE = COMPOSE_FILE.with_name("compose.registry.yaml")


def composed(name: str) -> Service:
    """What the compose files say of a service."""
    return services([COMPOSE_FILE, _REGISTRY_FILE], {"FUNCLEDGER_TOKENS": "nobody"})[name]


def broker_environment(host: str, port: int) -> dict[str, str]:
    """The compose file's broker, where clients reach it at this address; inside it listens on 9092."""
    return {
        **composed("kafka").environment,
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{host}:{port}",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
    }


class ContainerKafka:
    """The broker, at a port that is chosen before: it has to know the address that its clients have."""

    def __init__(self) -> None:
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy

        made, port = DockerContainer(composed("kafka").image), free_port()
        host = made.get_docker_client().host()
        self.address = f"{host}:{port}"
        for name, value in broker_environment(host, port).items():
            made.with_env(name, value)
        made.with_bind_ports(9092, port).waiting_for(LogMessageWaitStrategy("Kafka Server started"))
        self._container = made.start()

    def stop(self) -> None:
        """End it."""
        self._container.stop()


class ContainerMongo:
    """MongoDB itself."""

    def __init__(self) -> None:
        from testcontainers.community.mongodb import MongoDbContainer

        self._container = MongoDbContainer(composed("mongo").image).start()
        #: Host and port, with the account that the container makes.
        self.address = str(self._container.get_connection_url()).removeprefix("mongodb://").rstrip("/")

    def stop(self) -> None:
        """End it."""
        self._container.stop()


class ContainerRegistry:
    """Apicurio, in memory."""

    def __init__(self) -> None:
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import HttpWaitStrategy

        ready = HttpWaitStrategy(8080, "/apis/ccompat/v7/subjects")
        made = DockerContainer(composed("registry").image).with_exposed_ports(8080)
        self._container = made.waiting_for(ready).start()
        self.address = f"{made.get_container_host_ip()}:{made.get_exposed_port(8080)}"

    def stop(self) -> None:
        """End it."""
        self._container.stop()
