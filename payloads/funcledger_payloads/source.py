"""A function's source: the form that other minor versions of Python can run, where it stands alone."""

import __future__

import ast
import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import reduce
from types import CodeType, FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from funcledger_payloads.imports import imported_by
from funcledger_payloads.installed import has_a_name, is_module_installed
from funcledger_payloads.references import references_of

#: Names that source may use: name in the source -> module to import, or module:name in it.
Imports = dict[str, str]


#: The file of code that was given to ``exec`` or ``python -c``, whichever; from 3.13 on its lines are found,
#: and are those of ``python -c``, whatever function they are asked for.
_NO_FILE = "<string>"
#: By the code it was compiled to: it is looked for once, while the lines on the disk are still those.
_sources: "WeakKeyDictionary[CodeType, tuple[str | None, bool]]" = WeakKeyDictionary()
#: Of a module that has `from __future__ import annotations`, the one that still matters.
_FUTURE = __future__.annotations.compiler_flag
_CONSTANTS = frozenset({int, float, str, bool, type(None)})


def source_of(function: Any) -> str | None:
    """The function's source, dedented; None where it is not to be had, as in a plain REPL."""
    code = getattr(function, "__code__", None)
    return _examined(function, code)[0] if isinstance(code, CodeType) else _look_up(function)


def _examined(function: FunctionType, code: CodeType) -> tuple[str | None, bool]:
    """The source, and whether it is a plain definition that compiles to this very code."""
    known = _sources.get(code)
    if known is None:
        source = _look_up(function)
        known = _sources[code] = (None, False) if source is None else _checked(source, function)
    return known


def _look_up(function: Any) -> str | None:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is not None and code.co_filename == _NO_FILE:
        return None
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError, IndentationError, SyntaxError):
        return None


def _checked(source: str, function: FunctionType) -> tuple[str | None, bool]:
    """What is found may be other lines: of a file that was edited since, or of another text of that name."""
    code = function.__code__
    if code.co_name == "<lambda>":
        return source, False  # the line that holds it
    definition = _definition(source)
    if definition is None or definition.name != code.co_name:
        return None, False
    within = code.co_qualname.rpartition(".")[0]
    if definition.decorator_list or code.co_freevars or (within and not within.endswith("<locals>")):
        return source, False
    if not any(_is_same(one, code) for one in _compiled(source, function)):
        return None, False
    return source, all(map(_is_literal, [*definition.args.defaults, *definition.args.kw_defaults]))


def _compiled(source: str, function: FunctionType) -> Iterator[CodeType]:
    """The code that its source compiles to; calls of what a module imports are compiled otherwise."""
    # A tool may have put names there that no source can say.
    names = [name for name in references_of(function.__code__).names if name.isidentifier()]
    modules = [name for name in names if isinstance(function.__globals__.get(name), ModuleType)]
    for imported in (modules, names, ()):
        lines = "".join(f"import {name}\n" for name in imported)
        flags = function.__code__.co_flags & _FUTURE
        text = compile(lines + source, "", "exec", flags, dont_inherit=True)
        yield from (one for one in text.co_consts if isinstance(one, CodeType))


def _is_same(one: CodeType, other: CodeType) -> bool:
    """Whether they do the same, wherever they stand."""
    if (one.co_code, one.co_names, one.co_varnames) != (other.co_code, other.co_names, other.co_varnames):
        return False
    return len(one.co_consts) == len(other.co_consts) and all(
        _is_same(mine, theirs)
        if isinstance(mine, CodeType) and isinstance(theirs, CodeType)
        else type(mine) is type(theirs) and mine == theirs
        for mine, theirs in zip(one.co_consts, other.co_consts, strict=True)
    )


def _is_literal(expression: ast.expr | None) -> bool:
    return expression is None or isinstance(expression, ast.Constant)


def imports_of(function: Any) -> tuple[Imports, dict[str, Any]] | None:
    """What its source needs to run by itself, imports and constants; None where that is not enough.

    A closure, a lambda, a decorator, or a global that is the user's own code ties it to where it was written.
    """
    if not isinstance(function, FunctionType) or not _examined(function, function.__code__)[1]:
        return None
    about = references_of(function.__code__)
    if about.looks or imported_by(function):
        return None
    imports: Imports = {}
    constants: dict[str, Any] = {}
    for name in sorted(set(about.names) - {function.__name__}):
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType) and is_module_installed(value):
            imports[name] = value.__name__
        elif isinstance(value, FunctionType | type) and has_a_name(value):
            imports[name] = f"{value.__module__}:{value.__qualname__}"
        elif type(value) in _CONSTANTS and name in function.__globals__:
            constants[name] = value
        elif name in function.__globals__:
            return None
    return imports, constants


def _definition(source: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return None
    found = body[0] if len(body) == 1 else None
    return found if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef) else None


def function_from(
    source: str, name: str, imports: Imports, constants: dict[str, Any], *, annotated: bool
) -> Callable[..., Any]:
    """The function of this name, defined by running its source; ``annotated`` has its annotations evaluated.

    Raises:
        Exception: whatever running the source raises; KeyError when it does not define the name.
    """
    namespace: dict[str, Any] = {"__name__": "funcledger_function", **constants}
    for alias, what in imports.items():
        module, _, path = what.partition(":")
        found = importlib.import_module(module)
        namespace[alias] = reduce(getattr, path.split("."), found) if path else found
    code = compile(source, f"<source of {name}>", "exec", 0 if annotated else _FUTURE, dont_inherit=True)
    exec(code, namespace)  # noqa: S102  # running the user's code is what an endpoint's worker is for
    function = namespace[name]
    if not callable(function):
        raise TypeError(f"{name} is a {type(function).__name__}, not a function")
    return function  # type: ignore[no-any-return]
