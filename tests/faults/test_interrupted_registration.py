"""An endpoint beside the server whose registration was cut off: the next start completes it."""

import asyncio
from pathlib import Path

import pytest
from tests.support.poll import until_sync
from tests.support.standalone import standalone

from funcledger_compose.endpoint_dir import EndpointDir
from funcledger_compose.local_endpoint import EndpointTaken, enlist

pytestmark = pytest.mark.timeout(120)


class PowerCut(Exception):
    """What ends the first attempt."""


def test_a_registration_that_was_cut_off_is_completed_under_the_same_id_and_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with standalone(tmp_path / "data", "--no-endpoint") as server:
        token = (server.folder / "token").read_text().strip()
        where = EndpointDir(server.folder / "endpoints", "beside")

        def cut(*_: object) -> None:
            raise PowerCut

        with monkeypatch.context() as patched:
            patched.setattr(EndpointDir, "configure", cut)
            with pytest.raises(PowerCut):
                asyncio.run(enlist(where, server.url, token))
        with server.client() as client:
            (registered,) = until_sync(client.get_endpoints)  # once the read models have it
            assert not where.configured

            asyncio.run(enlist(where, server.url, token))
            assert where.settings().endpoint_id == registered["endpoint_id"]
            assert len(client.get_endpoints()) == 1


def test_one_whose_directory_is_gone_is_told_how_to_have_it_deleted(tmp_path: Path) -> None:
    with standalone(tmp_path / "data", "--no-endpoint") as server:
        token = (server.folder / "token").read_text().strip()
        where = EndpointDir(server.folder / "endpoints", "beside")
        asyncio.run(enlist(where, server.url, token))
        where.remove()
        for _ in range(2):  # what the first refused attempt keeps changes nothing
            with pytest.raises(EndpointTaken, match="funcledger endpoint delete beside"):
                asyncio.run(enlist(where, server.url, token))
        assert server.cli("endpoint", "delete", "beside", "--yes").returncode == 0
        asyncio.run(enlist(where, server.url, token))
        assert where.configured
