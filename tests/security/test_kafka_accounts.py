"""A cluster with accounts and TLS: let in by the settings of a service, and a refusal that says why."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import parts
from tests.support.certificates import Authority
from tests.support.deadlines import scaled
from tests.support.logs import at, collect, new, values

from funcledger_compose.native.kafka import broker
from funcledger_compose.on_kafka import kafka_log
from funcledger_compose.settings import Settings, load
from funcledger_compose.topics import check, look, make
from funcledger_event_log.kafka import admin
from funcledger_event_log.port import LogUnavailable
from funcledger_schemas.ids import new_id

pytestmark = pytest.mark.distributed

NAME, PASSWORD = "a-service", "correct-horse-battery"
_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required"
#: Seconds that a client waits for an answer here, and until a refusal is told.
PATIENCE, SOON = 3.0, 5.0


def demanding(certificate: Path, authority: Path) -> dict[str, str]:
    """Properties of a broker that lets nobody in without account and TLS, itself included."""
    return {
        "listeners": "SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": "SASL_SSL://127.0.0.1:{port}",
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "SASL_SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            f'{_LOGIN} username="{NAME}" password="{PASSWORD}";'
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificate),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority),
    }


@dataclass
class Secured:
    """The broker, and the authorities: its own, and one that has nothing to do with it."""

    address: str
    authority: Path
    stranger: Path

    def settings(self, **changed: str) -> Settings:
        """As a service reads them from its environment."""
        given = {
            "BOOTSTRAP": self.address,
            "TOPIC_PREFIX": f"t{new_id()}.",
            "SECURITY_PROTOCOL": "SASL_SSL",
            "SASL_MECHANISM": "SCRAM-SHA-512",
            "SASL_USERNAME": NAME,
            "SASL_PASSWORD": PASSWORD,
            "SSL_CA_LOCATION": str(self.authority),
        }
        return load(environ={f"FUNCLEDGER_KAFKA_{key}": value for key, value in (given | changed).items()})


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority, stranger = (Authority(folder / f"{name}.pem") for name in ("authority", "stranger"))
    asked = demanding(authority.server(folder / "broker.pem"), authority.file)
    process = parts.had("kafka", lambda: broker(folder / "kafka", asked, accounts={NAME: PASSWORD}))
    process.start()
    yield Secured(process.address, authority.file, stranger.file)
    process.stop()


async def test_an_account_over_tls_is_let_in_by_a_services_settings(secured: Secured) -> None:
    settings = secured.settings()
    await make(settings, 2)
    await check(settings)
    log = await kafka_log(settings)
    try:
        await log.append([new(b"one"), new(b"two", 1)])
        assert sorted(values(await collect(log, {at(0): 0, at(1): 0}, 2))) == [b"one", b"two"]
        assert await log.ready()
    finally:
        await log.close()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"SASL_PASSWORD": "wrong-horse"}, "[Aa]uthentication failed"),
        ({"SSL_CA_LOCATION": "stranger"}, "certificate"),
    ],
)
async def test_who_is_refused_is_told_why_in_time_and_without_the_password(
    secured: Secured, wrong: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "ANSWER_TIMEOUT", PATIENCE)
    given = {name: str(secured.stranger) if value == "stranger" else value for name, value in wrong.items()}
    settings = secured.settings(**given)
    begun = time.monotonic()
    with pytest.raises(LogUnavailable, match=says) as refused:
        await look(settings)
    assert time.monotonic() - begun < scaled(SOON)
    for password in (PASSWORD, "wrong-horse"):
        assert password not in str(refused.value)
