"""Minutes by folder, printed at the end of a run."""

import time
from collections import Counter

import pytest


class Minutes:
    """Adds up what tests took, whichever worker ran them."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._seconds: Counter[str] = Counter()
        self._tests: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count one phase of a test."""
        folder = folder_of(report.nodeid)
        self._seconds[folder] += report.duration  # type: ignore[assignment]  # a Counter of seconds
        self._tests[folder] += report.when == "call"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table, the longest first."""
        terminalreporter.section("minutes by folder")
        for line in self.table():
            terminalreporter.line(line)

    def table(self) -> list[str]:
        """Folder, tests and minutes; then all of them, and what the clock says."""
        rows = [(name, self._tests[name], seconds) for name, seconds in self._seconds.most_common()]
        rows.append(("together", self._tests.total(), sum(self._seconds.values())))
        lines = [f"{name:20} {tests:5} tests {seconds / 60:6.1f} min" for name, tests, seconds in rows]
        return [*lines, f"{'by the clock':32} {(time.monotonic() - self._begun) / 60:6.1f} min"]


def folder_of(nodeid: str) -> str:
    """``tests/faults`` of ``tests/faults/test_x.py::test_y``; of deeper ones the first two names."""
    return "/".join(nodeid.partition("::")[0].split("/")[:-1][:2])
