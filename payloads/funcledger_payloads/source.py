"""A function's source: the form that other minor versions of Python can run, where it stands alone."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

#: Names that source may use for modules: name in the source -> module to import.
Imports = dict[str, str]


#: The file of code that was given to ``exec`` or ``python -c``, whichever; from 3.13 on its lines are found,
#: and are those of ``python -c``, whatever function they are asked for.
_NO_FILE = "<string>"


def source_of(function: Any) -> str | None:
    """The function's source, dedented; None where it is not to be had, as in a plain REPL."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is not None and code.co_filename == _NO_FILE:
        return None
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError, IndentationError, SyntaxError):
        return None


def imports_of(function: Any, source: str | None) -> Imports | None:
    """What its source needs imported to run by itself; None where imports are not enough.

    A closure, a lambda, a decorator, or a global that is not a module ties it to where it was written.
    """
    if source is None or not isinstance(function, FunctionType) or function.__closure__:
        return None
    definition = _definition(source)
    if definition is None or definition.decorator_list or definition.name != function.__name__:
        return None
    imports: Imports = {}
    for name in set(_global_names(function.__code__)) - {function.__name__}:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType) and value.__name__ != "__main__":
            imports[name] = value.__name__
        elif name in function.__globals__:
            return None
    return imports


def _definition(source: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return None
    found = body[0] if len(body) == 1 else None
    return found if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef) else None


def _global_names(code: CodeType) -> Iterator[str]:
    import dis  # only where a function is registered

    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)


def function_from(source: str, name: str, imports: Imports) -> Callable[..., Any]:
    """The function of this name, defined by running its source.

    Raises:
        Exception: whatever running the source raises; KeyError when it does not define the name.
    """
    namespace: dict[str, Any] = {"__name__": "funcledger_function"}
    for alias, module in imports.items():
        __import__(module)
        namespace[alias] = sys.modules[module]
    code = compile(source, f"<source of {name}>", "exec", dont_inherit=True)
    exec(code, namespace)  # noqa: S102  # running the user's code is what an endpoint's worker is for
    function = namespace[name]
    if not callable(function):
        raise TypeError(f"{name} is a {type(function).__name__}, not a function")
    return function  # type: ignore[no-any-return]
