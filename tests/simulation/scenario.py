"""What a seed stands for: who submits what and when, and what goes wrong meanwhile. Times in seconds."""

from dataclasses import dataclass, field
from random import Random

#: Until then things happen and go wrong; afterwards everything is up, and what is open must come to an end.
TROUBLE = 8.0
WEEK = 604_800
SERVICES = ("api", "gateway", "projector", "query")
#: Where a process can be told to die, by what it is.
POINTS = {
    "api": ("before append", "after append"),
    "gateway": ("before append", "after append", "before commit", "after commit"),
    "agent": ("before request", "after request"),
    "projector": ("before save", "after save"),
}


@dataclass
class Behaviour:
    """A task's function: its first ``deaths`` calls kill their worker, the next one returns or raises.

    One that ``fells`` ends its agent with each call instead.
    """

    seconds: float
    deaths: int
    raises: bool
    fells: bool = False
    #: Calls so far.
    calls: int = 0


@dataclass
class PlannedTask:
    """One task to submit."""

    task_id: str
    max_attempts: int
    expires_in: int
    size: int
    behaviour: Behaviour


@dataclass
class Request:
    """Tasks submitted together, and when; ``again`` is when the same is sent once more, if at all."""

    at: float
    owner: str
    batch_id: str
    endpoint: int
    tasks: list[PlannedTask]
    again: float | None


@dataclass
class Endpoint:
    """Where tasks are run; its agent ends for good at ``leaves``, if that is set."""

    endpoint_id: str
    partition: int
    workers: int
    ahead: int
    read_ahead: int
    commit: float
    leaves: float | None


@dataclass
class Trouble:
    """Something that goes wrong: ``what`` to whom, from when on, and for how long."""

    at: float
    what: str
    whom: str
    seconds: float


@dataclass
class Trap:
    """The process of this kind dies when it comes to this point for the ``nth`` time."""

    whom: str
    point: str
    nth: int
    seconds: float


@dataclass
class Scenario:
    """Everything that a seed decides before the run; the rest is decided by dice with the same seed."""

    seed: int
    partitions: int
    endpoints: list[Endpoint]
    requests: list[Request]
    #: Request, task, and when it is asked to be cancelled.
    cancels: list[tuple[Request, PlannedTask, float]]
    troubles: list[Trouble]
    traps: list[Trap]
    latency: float
    failing: float
    lossy: float
    skewed: bool
    #: Whether the services are one server, which dies as a whole.
    together: bool
    behaviours: dict[str, Behaviour] = field(default_factory=dict)


def scenario(seed: int) -> Scenario:
    """The scenario of this number."""
    dice = Random(seed)
    partitions = dice.choice((1, 1, 2))
    endpoints = [_endpoint(dice, number, partitions) for number in range(dice.choice((1, 1, 1, 2)))]
    requests = [_request(dice, number, endpoints) for number in range(dice.randint(1, 5))]
    cancels = [
        (request, task, request.at + 3 * dice.random() ** 2)
        for request in requests
        for task in request.tasks
        if dice.random() < 0.12
    ]
    hostile = dice.random() < 0.85
    made = Scenario(
        seed,
        partitions,
        endpoints,
        requests,
        cancels,
        _troubles(dice, endpoints, requests) if hostile else [],
        _traps(dice) if hostile else [],
        latency=dice.choice((0.0, 0.005, 0.02, 0.3)),
        failing=dice.choice((0.0, 0.0, 0.01, 0.05)) if hostile else 0.0,
        lossy=dice.choice((0.0, 0.0, 0.02)) if hostile else 0.0,
        skewed=dice.random() < 0.5,
        together=dice.random() < 0.4,
    )
    fell = Random(f"{seed}/fell")
    for task in [task for request in requests for task in request.tasks]:
        task.behaviour.fells = hostile and fell.random() < 0.05
    made.behaviours = {task.task_id: task.behaviour for request in requests for task in request.tasks}
    return made


def _id(kind: str, *numbers: int) -> str:
    return f"00000000-0000-7000-8000-{kind}{''.join(f'{number:03}' for number in numbers):0>11}"


def _endpoint(dice: Random, number: int, partitions: int) -> Endpoint:
    return Endpoint(
        _id("e", number),
        dice.randrange(partitions),
        workers=dice.randint(1, 3),
        ahead=dice.choice((0, 0, 3)),
        read_ahead=dice.choice((2, 1000)),
        commit=dice.choice((0.1, 0.5, 1.0)),
        leaves=TROUBLE * dice.random() if dice.random() < 0.1 else None,
    )


def _request(dice: Random, number: int, endpoints: list[Endpoint]) -> Request:
    endpoint = dice.randrange(len(endpoints))
    short = endpoints[endpoint].leaves is not None or dice.random() < 0.1
    at = TROUBLE * 0.7 * dice.random()
    return Request(
        at,
        dice.choice(("ada", "ada", "bob")),
        _id("b", number // 2),
        endpoint,
        [_task(dice, number, place, short) for place in range(dice.choice((1, 1, 2, 4)))],
        at + 2 * dice.random() if dice.random() < 0.25 else None,
    )


def _task(dice: Random, number: int, place: int, short: bool) -> PlannedTask:
    deaths = dice.choice((0, 0, 0, 0, 0, 0, 1, 2, 99))
    behaviour = Behaviour(
        dice.choice((0.001, 0.05, 0.5, 2.0)) * (0.5 + dice.random()), deaths, dice.random() < 0.1
    )
    return PlannedTask(
        _id("a", number, place),
        max_attempts=dice.choice((1, 1, 2, 3)),
        expires_in=dice.randint(1, 10) if short else WEEK,
        size=dice.choice((4, 4, 1500)),
        behaviour=behaviour,
    )


def _troubles(dice: Random, endpoints: list[Endpoint], requests: list[Request]) -> list[Trouble]:
    found = []
    for _ in range(dice.choice((0, 1, 2, 4))):
        # While something is being done, more can go wrong.
        busy = dice.choice(requests).at + 0.6 * dice.random()
        at, seconds = dice.choice((busy, TROUBLE * dice.random())), dice.choice((0.05, 0.5, 2.0))
        agent = f"agent-{dice.randrange(len(endpoints))}"
        what = dice.choice(("kill", "kill", "kill", "cut", "rival", "race", "stop", "weather"))
        whom = dice.choice((agent, *SERVICES)) if what == "kill" else agent
        found.append(Trouble(at, what, whom, seconds * (0.5 + dice.random())))
    return found


def _traps(dice: Random) -> list[Trap]:
    found = []
    for _ in range(dice.choice((0, 1, 1, 3))):
        whom = dice.choice(tuple(POINTS))
        seconds = dice.choice((0.05, 0.5)) * (0.5 + dice.random())
        found.append(Trap(whom, dice.choice(POINTS[whom]), dice.choice((1, 2, 3, 5, 8, 12)), seconds))
    return found
