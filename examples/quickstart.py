"""The shortest whole program: a function runs on an endpoint and its value comes back."""

from funcledger import Executor


def squared(x: int) -> int:
    return x * x


with Executor(endpoint_id="local") as executor:
    print(list(executor.map(squared, range(10))))
