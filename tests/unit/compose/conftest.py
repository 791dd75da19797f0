"""What tests of backups begin with."""

from pathlib import Path

import pytest
from tests.support.backups import fill

from funcledger_compose.backups.making import back_up
from funcledger_compose.data_dir import DataDir


@pytest.fixture
async def data(tmp_path: Path) -> DataDir:
    """A data directory whose server has stopped."""
    directory = DataDir(tmp_path / "data")
    await (await fill(directory)).close()
    return directory


@pytest.fixture
async def backup(data: DataDir, tmp_path: Path) -> Path:
    back_up(data.path, tmp_path / "backup")
    return tmp_path / "backup"
