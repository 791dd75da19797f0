"""Functions that take more than they may. Each knows where to stop, and ends by itself if nobody ends it."""

#: Most processes a bomb makes, and seconds after which each ends by itself.
MOST, ALARM = 300, 40


def fork_bomb(note: str, sessions: bool = False, most: int = MOST, alarm: int = ALARM) -> None:
    """Children that all go on forking, in sessions of their own if asked; each notes its process id."""
    import os
    import signal
    import time

    while True:
        with open(note, "a+") as file:
            file.seek(0)
            known = len(file.read().split())
        if known >= most:
            time.sleep(alarm)
            return
        if os.fork() == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(alarm)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if sessions:
                os.setsid()
            with open(note, "a") as file:
                file.write(f"{os.getpid()}\n")


def many_threads(count: int) -> None:
    """As many threads in one process."""
    import threading
    import time

    for _ in range(count):
        threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
    time.sleep(20)


def hoard(megabytes: int, seconds: float = 0.0) -> int:
    """Holds so much memory, bit by bit, for so long."""
    import time

    held = []
    for _ in range(megabytes // 10):
        held.append(bytearray(10_000_000))
        for at in range(0, 10_000_000, 4096):
            held[-1][at] = 1
    time.sleep(seconds)
    return len(held) * 10


def hoard_in_children(children: int, megabytes: int, note: str, alarm: int = ALARM) -> None:
    """The same in several processes, each below the limit for one."""
    import os
    import signal
    import time

    for _ in range(children):
        if os.fork() == 0:
            signal.alarm(alarm)
            with open(note, "a") as file:
                file.write(f"{os.getpid()}\n")
            held = bytearray(megabytes * 1_000_000)
            for at in range(0, len(held), 4096):
                held[at] = 1
            time.sleep(alarm)
            os._exit(0)
    time.sleep(alarm)


def leave_a_daemon(note: str, scrub: bool = False, alarm: int = ALARM) -> str:
    """Starts a process that outlives it: through another, in its own session, without a trace if asked."""
    import subprocess
    import sys

    inner = (
        "import os, signal, sys, time\n"
        f"signal.alarm({alarm})\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        f"open({note!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
        f"time.sleep({alarm})\n"
    )
    subprocess.run([sys.executable, "-c", inner], env={} if scrub else None, check=True)
    return "left"


def overstay(seconds: float, note: str) -> None:
    """Sleeps, deaf to SIGTERM, beside a child in a session of its own."""
    import signal
    import subprocess
    import time

    child = subprocess.Popen(["sleep", str(seconds)], start_new_session=True)
    with open(note, "a") as file:
        file.write(f"{child.pid}\n")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(seconds)


def comet(note: str, alarm: int = ALARM) -> str:
    """Leaves a process that goes on as a child of itself, again and again, in ever new sessions."""
    import os
    import signal
    import time

    if os.fork() == 0:
        end = time.monotonic() + alarm
        while time.monotonic() < end:
            if os.fork():
                os._exit(0)
            signal.alarm(alarm)
            os.setsid()
            with open(note, "w") as file:
                file.write(f"{os.getpid()}\n")
        os._exit(0)
    os.wait()
    return "left"
