"""What tasks print is told apart by task, within a bound, and holds nothing up."""

import os
import threading
from pathlib import Path

import pytest
from tests.support.poll import until_sync

from funcledger_endpoint.bounded_log import BoundedLog
from funcledger_endpoint.local.output import MARK, CallNames, Lines, TaskOutput


def test_lines_are_told_apart_by_the_call_that_printed_them() -> None:
    names = CallNames()
    names.note(1, "first")
    names.note(2, "second")
    lines = Lines(names)
    assert lines.feed(b"starting\n") == b"[worker] starting\n"
    assert lines.feed(MARK % 1 + b"one\ntwo\nthr") == b"[first] one\n[first] two\n"
    assert lines.feed(b"ee" + (MARK % 2)[:2]) == b"", "the mark is not whole yet"
    assert lines.feed((MARK % 2)[2:] + b"four\n") == b"[first] three\n[second] four\n"
    assert lines.feed(MARK % 7 + b"lie\n") == b"[a task] lie\n"
    assert (lines.feed(b"no end"), lines.end(), lines.end()) == (b"", b"[a task] no end\n", b"")
    assert lines.feed(b"x" * 300_000).startswith(b"[a task] xxx"), "not kept for ever"


def test_a_log_is_put_aside_when_it_is_full_and_what_prints_into_it_goes_on_in_the_new(
    tmp_path: Path,
) -> None:
    (tmp_path / "log").touch(0o644)  # as others have made it
    log = BoundedLog(tmp_path / "log", full=100, kept=2)
    for n in range(60):
        log.append(b"line %05d\n" % n)
    log.append(b"y" * 250 + b"\n")
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["log", "log.1", "log.2"]
    assert sum(file.stat().st_size for file in files) <= 3 * 100
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert (tmp_path / "log").read_bytes().endswith(b"yy\n")
    log.close()


def test_the_standard_streams_follow(tmp_path: Path) -> None:
    path, kept = tmp_path / "log", os.dup(2)
    log = BoundedLog(path, full=100)
    try:
        with path.open("ab") as file:
            os.dup2(file.fileno(), 2)
        os.write(2, b"z" * 150)
        log.keep_within()
        os.write(2, b"after")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        log.close()
    assert (path.read_bytes(), (tmp_path / "log.1").read_bytes()) == (b"after", b"z" * 150)


@pytest.mark.fault(16)
def test_a_disk_without_room_holds_no_task_up() -> None:
    def full(_: bytes) -> None:
        raise OSError(28, "No space left on device")

    output = TaskOutput(full)
    pipe = output.open(CallNames())
    writing = threading.Thread(target=lambda: os.write(pipe, b"w" * 200_000 + b"\n"))
    writing.start()  # more than a pipe holds
    until_sync(lambda: not writing.is_alive())
    os.close(pipe)
    output.stop()


def test_what_was_printed_before_the_end_is_written() -> None:
    told: list[bytes] = []
    output, names = TaskOutput(told.append), CallNames()
    names.note(1, "task")
    pipe = output.open(names)
    os.write(pipe, MARK % 1 + b"last words")
    os.close(pipe)
    output.stop()
    output.stop()  # an engine may be stopped twice
    assert b"".join(told) == b"[task] last words\n"
