"""A data directory that any release left behind opens with today's, and everything in it reads as it was."""

import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.golden.record_data_dir import told
from tests.support.deadlines import scaled
from tests.support.golden import GOLDEN
from tests.support.poll import until_sync
from tests.support.standalone import standalone

from funcledger import Client
from funcledger_event_log.sqlite import database
from funcledger_read_models.sqlite import file as read_models

#: The releases that have one.
RELEASES = sorted(path.parent.name for path in GOLDEN.glob("*/data_dir.tar.gz"))


def kept(release: str, folder: Path) -> dict[str, Any]:
    """Put the release's directory there; what its user knew."""
    with tarfile.open(GOLDEN / release / "data_dir.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    known: dict[str, Any] = json.loads((GOLDEN / release / "data_dir.json").read_text())
    return known


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
    return int(found)


def check_outcomes(client: Client, tasks: dict[str, str]) -> None:
    assert client.get_result(tasks["short"], timeout=scaled(30)) == "shortshort"
    assert client.get_result(tasks["long"], timeout=scaled(30)) == "long" * 30_000
    with pytest.raises(ValueError, match="as it was told to"):
        client.get_result(tasks["fail"], timeout=scaled(30))
    assert client.get_task(tasks["sleep"])["status"] == "cancelled"
    found = client.get_batch_result([tasks[str(number)] for number in range(3)], timeout=scaled(30))
    assert [each["result"] for each in found.values()] == [0, 2, 4]


@pytest.mark.parametrize("release", RELEASES)
def test_an_older_data_directory_opens_and_everything_reads_right(release: str, tmp_path: Path) -> None:
    known = kept(release, tmp_path / "data")
    with standalone(tmp_path / "data", "--workers", "1") as server, server.client() as client:
        check_outcomes(client, known["tasks"])
        for task, history in known["histories"].items():
            assert told(client, task) == history
        group = client.transport.get(f"/v1/batches/{known['group']}")
        assert (group["total"], group["counts"]) == (3, {"success": 3})
        assert client.get_function(known["function"])["description"] == "Does as it is told."
        ids = {each["name"]: each["endpoint_id"] for each in client.get_endpoints()}
        assert ids == {"local": known["local"], "spare": known["spare"]}
        # Its endpoint comes back by the credential it has, and runs what was registered then.
        until_sync(lambda: client.get_endpoint_status("local")["status"] == "online", 20)
        task = client.run(21, endpoint_id="local", function_id=known["function"])
        assert client.get_result(task, timeout=scaled(30)) == 42
        assert server.stop() == 0
        server.start()
        check_outcomes(client, known["tasks"])
    assert version(tmp_path / "data" / "log" / "log.db") == database.FORMAT
    assert version(tmp_path / "data" / "read_models.db") == read_models.FORMAT


@pytest.mark.parametrize("release", RELEASES)
def test_an_older_data_directory_is_backed_up_and_restored_as_it_is(release: str, tmp_path: Path) -> None:
    known = kept(release, tmp_path / "data")
    with standalone(tmp_path / "data") as server:
        done = server.cli_json("backup", str(tmp_path / "backup"))
        assert done["records"]["tasks"] == len(known["tasks"]) + 1
        restored = server.cli("restore", str(tmp_path / "backup"), "--data-dir", str(tmp_path / "new"))
        assert restored.returncode == 0, restored.stderr
    with standalone(tmp_path / "new") as server, server.client() as client:
        check_outcomes(client, known["tasks"])
