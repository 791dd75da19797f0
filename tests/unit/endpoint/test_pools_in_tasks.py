"""A task that spreads its own functions and classes over processes of its own, as it would in a script."""

from typing import Any, NamedTuple

import pytest
from tests.support.endpoint import Endpoint


class Point(NamedTuple):
    x: int

    def doubled(self) -> "Point":
        return Point(2 * self.x)


class TooFar(Exception):
    pass


def doubled(point: Point) -> Point:
    if point.x > 2:
        raise TooFar(point.x)
    return point.doubled()


def through_a_pool(method: str) -> list[Any]:
    import multiprocessing

    with multiprocessing.get_context(method).Pool(2) as pool:
        found: list[Any] = pool.map(doubled, [Point(n) for n in range(3)])
        try:
            pool.apply(doubled, (Point(3),))
        except TooFar as error:
            found.append(error.args[0])
    return [isinstance(found[1], Point), *(tuple(one) for one in found[:3]), found[3]]


def through_an_executor() -> list[Any]:
    from concurrent.futures import ProcessPoolExecutor

    class Local:
        def __init__(self, number: int) -> None:
            self.number = number

    def made(number: int) -> Local:
        return Local(number)

    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(made, range(3)))
        later = pool.submit(lambda: 7).result()
    return [isinstance(found[0], Local), [one.number for one in found], later]


def through_a_process_and_a_queue() -> Any:
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=put, args=(queue,))
    process.start()
    found = queue.get(timeout=60)
    process.join()
    return isinstance(found, Point), found.x


def put(queue: Any) -> None:
    queue.put(Point(5))


@pytest.mark.law(13)
async def test_pools_inside_a_task_know_its_functions_and_classes() -> None:
    endpoint = await Endpoint.create()
    async with endpoint.agent(1):
        calls = [(through_a_pool, method) for method in ("fork", "spawn", "forkserver")]
        tasks = [await endpoint.submit(*call) for call in calls]
        tasks += [
            await endpoint.submit(call) for call in (through_an_executor, through_a_process_and_a_queue)
        ]
        found = [await endpoint.value(task, timeout=60) for task in tasks]
    assert found[:3] == [[True, (0,), (2,), (4,), 3]] * 3
    assert found[3:] == [[True, [0, 1, 2], 7], (True, 5)]
