"""How native parts in Java are started: small, soon there, and with nothing outside their folder."""

from pathlib import Path


def java(folder: Path, memory: str) -> list[str]:
    """The command, up to what it runs, with a heap of at most ``memory`` (``512m``).

    A killed Java process leaves unpacked libraries and counters in the system's temporary directory, some
    hundred kilobytes each time, so it gets one within ``folder`` and writes no counters.
    """
    scratch = folder / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    quick = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]
    return ["java", f"-Xmx{memory}", *quick, f"-Djava.io.tmpdir={scratch}"]
