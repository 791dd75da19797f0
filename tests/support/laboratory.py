"""A hundred functions in the shapes that laboratories write, each with arguments and the value it gives.

The tests send them to another process; ``python -m benchmarks.serialisers`` compares what can carry them.
"""
# mypy: ignore-errors

import abc, collections, contextlib, dataclasses, datetime, decimal, enum, fractions, functools, heapq, itertools, json
import logging, math, operator, os, pathlib, random, re, statistics, string, sys, threading, types, typing, weakref
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from functools import partial, reduce
from itertools import product
from math import sqrt
from typing import Generic, NamedTuple, NewType, ParamSpec, Protocol, TypedDict, TypeVar

from tests.support import laboratory_helpers as helpers
from tests.support.laboratory_helpers import BadRow, Point, Unit, fibonacci, scaled

T = TypeVar("T")
P = ParamSpec("P")
UserId = NewType("UserId", int)
LIMIT = 3


class Status(enum.Enum):
    GOOD = 1
    BAD = 2
    FINE = 1

    def nice(self):
        return self is Status.GOOD


class Planet(enum.Enum):
    EARTH = (5.9, 6.3)
    MARS = (0.6, 3.3)

    def __init__(self, mass, radius):
        self.mass, self.radius = mass, radius

    @property
    def density(self):
        return self.mass / self.radius


class Level(enum.IntEnum):
    LOW = enum.auto()
    HIGH = enum.auto()


class Color(str, enum.Enum):
    RED = "r"
    BLUE = "b"


class Perm(enum.Flag):
    R = 4
    W = 2
    X = 1
    RW = R | W


class Coord(bytes, enum.Enum):
    def __new__(cls, value, label):
        obj = bytes.__new__(cls, [value])
        obj._value_ = value
        obj.label = label
        return obj

    PX = (0, "P.X")
    PY = (1, "P.Y")


class Reading(NamedTuple):
    value: float
    unit: str = "mm"

    def metres(self):
        return self.value / 1000


Pair = collections.namedtuple("Pair", "a b")


class Stack(Generic[T]):
    def __init__(self):
        self.items: list[T] = []

    def push(self, x: T) -> "Stack[T]":
        self.items.append(x)
        return self


class Node:
    def __init__(self, v, nxt=None):
        self.v, self.next = v, nxt

    def copy(self):
        return Node(self.v, self.next.copy() if self.next else None)


class A:
    def other(self):
        return B()


class B(A):
    def other(self):
        return super().other().__class__ is B and A() is not None


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...
    @classmethod
    def make(cls, *a):
        return cls(*a)

    @staticmethod
    def unit():
        return 1


class Square(Shape):
    def __init__(self, s):
        self.s = s

    def area(self):
        return self.s**2

    @property
    def side(self):
        return self.s

    @functools.cached_property
    def diag(self):
        return self.s * math.sqrt(2)


@dataclass(frozen=True, slots=True, order=True)
class Slotted:
    x: int
    y: int = field(default=2, kw_only=True)


class HandSlots:
    __slots__ = ("a", "__hidden")

    def __init__(self):
        self.a, self.__hidden = 1, 2

    def get(self):
        return self.a + self.__hidden


class Plugin:
    registry = {}

    def __init_subclass__(cls, *, name, **kw):
        super().__init_subclass__(**kw)
        Plugin.registry[name] = cls
        cls.tag = cls.kind


class PluginA(Plugin, name="a"):
    kind = "k"


class Meta(type):
    def __new__(m, n, b, ns, *, need):
        c = super().__new__(m, n, b, ns)
        c.need = need
        return c

    def __init__(c, n, b, ns, *, need):
        super().__init__(n, b, ns)

    def __len__(c):
        return 7


class WithMeta(metaclass=Meta, need=5):
    pass


class Movie(TypedDict):
    name: str


class HasLen(Protocol):
    def __len__(self) -> int: ...


class MyError(Exception):
    def __init__(self, code, *, why):
        super().__init__(f"{code}: {why}")
        self.code = code


class Vec:
    def __init__(self, *v):
        self.v = v

    def __eq__(self, o):
        return isinstance(o, Vec) and self.v == o.v

    def __add__(self, o):
        return Vec(*map(operator.add, self.v, o.v))

    __hash__ = None


class Deep:
    class Inner:
        def who(self):
            return Deep


class Outer2:
    def method(self):
        class Local(Outer2):
            pass

        return issubclass(Local, Outer2)


@functools.cache
def cached(n):
    return 1 if n == 0 else n * cached(n - 1)


@functools.singledispatch
def show(x):
    return "any"


@show.register
def _(x: int):
    return "int"


@show.register(Point)
def _(x):
    return "point"


@contextlib.contextmanager
def ctx():
    yield LIMIT


def deco(f: typing.Callable[P, T]) -> typing.Callable[P, T]:
    @functools.wraps(f)
    def inner(*a: P.args, **k: P.kwargs) -> T:
        return f(*a, **k)

    return inner


@deco
def decorated(x):
    return x + LIMIT


def even(n):
    return True if n == 0 else odd(n - 1)


def odd(n):
    return False if n == 0 else even(n - 1)


def local_rec(n):
    def ev(n):
        return True if n == 0 else od(n - 1)

    def od(n):
        return False if n == 0 else ev(n - 1)

    return ev(n)


def closure_rec():
    def ev(n):
        return True if n == 0 else od(n - 1)

    def od(n):
        return False if n == 0 else ev(n - 1)

    return ev


def class_body_global():
    class Z:
        lim = LIMIT
        pt = Point

    return Z.lim


def weird(x: typing.Annotated[int, threading.Lock()], y: "nowhere.Thing" = None) -> Point:
    return x


def lines(text):
    return re.findall(PATTERN, text)


PATTERN = re.compile(r"\d+")
TABLE = {"a": scaled, "b": lambda x: x - 1}
logger = logging.getLogger("laboratory")


def uses_logger():
    logger.debug("x")
    return logger.name


def gsub():
    return os.path.join("a", "b")


def comp(n):
    return [scaled(i) for i in range(n)]


def gen(n):
    return sum(scaled(i) for i in range(n))


def kwd(*, k=LIMIT, **kw):
    return k + len(kw)


def mod():
    return helpers.SCALE, helpers.Unit.CM.value, helpers.Point(1).norm(), helpers.Config.alpha


def modalias():
    m = helpers
    return m.scaled(2)


def modset():
    helpers.SCALE = 3
    return helpers.scaled(2)


def raise_mine():
    raise MyError(3, why="x")


def catch():
    try:
        raise_mine()
    except MyError as e:
        return e.code


def main_name():
    return __name__


def missing_sentinel():
    return dataclasses.fields(Point)[0].default is dataclasses.MISSING


def make_sub():
    @dataclass
    class P3(Point):
        z: int = 1

    return P3(1).z


CALLS = [
    (
        "enum is",
        lambda: (
            Status.GOOD is Status(1)
            and Status.FINE is Status.GOOD
            and Status["FINE"] is Status.GOOD
            and Status.GOOD.nice()
        ),
        (),
        True,
    ),
    ("enum init", lambda: (Planet.EARTH.density, Planet((5.9, 6.3)) is Planet.EARTH), (), (5.9 / 6.3, True)),
    ("intenum", lambda: Level.HIGH > Level.LOW and Level(2) is Level.HIGH, (), True),
    ("strenum", lambda c: c is Color.RED and c == "r", (Color.RED,), True),
    ("flag", lambda q: (q & Perm.R) is Perm.R and Perm.RW == q, (Perm.RW,), True),
    ("flag unnamed", lambda q: Perm.X in q, (Perm.R | Perm.X,), True),
    ("enum new", lambda: (Coord.PX.label, Coord(1) is Coord.PY), (), ("P.X", True)),
    ("module enum", lambda u: u is Unit.CM is helpers.Unit.CM and Unit.CENTI is u, (Unit.CM,), True),
    (
        "namedtuple",
        lambda r: (r.metres(), isinstance(r, Reading), Reading(1).unit, r._replace(value=1).value),
        (Reading(500.0),),
        (0.5, True, "mm", 1),
    ),
    (
        "collections.namedtuple",
        lambda q: (isinstance(q, Pair), q.a, Pair(1, 2)._asdict()),
        (Pair(1, 2),),
        (True, 1, {"a": 1, "b": 2}),
    ),
    (
        "generic",
        lambda s: (isinstance(s, Stack), s.push(2).items, Stack[int].__origin__ is Stack),
        (Stack().push(1),),
        (True, [1, 2], True),
    ),
    ("self ref class", lambda n: isinstance(n.copy().next, Node), (Node(1, Node(2)),), True),
    ("mutual classes", lambda: B().other(), (), None),
    (
        "abc",
        lambda s: (Square.make(3).area(), s.side, s.diag > 1, Square.unit(), isinstance(s, Shape)),
        (Square(2),),
        (9, 2, True, 1, True),
    ),
    ("abstract", lambda: bool(Shape.__abstractmethods__), (), True),
    (
        "slotted dc",
        lambda s: (s == Slotted(1, y=5), Slotted(1) < s, hasattr(s, "__dict__")),
        (Slotted(1, y=5),),
        (True, True, False),
    ),
    (
        "hand slots",
        lambda s: (s.get(), hasattr(s, "__dict__"), HandSlots().get()),
        (HandSlots(),),
        (3, False, 3),
    ),
    ("init_subclass", lambda: (PluginA.tag, Plugin.registry["a"] is PluginA), (), ("k", True)),
    ("init_subclass works on", lambda: type("X", (Plugin,), {"kind": "z"}, name="x").tag, (), "z"),
    ("metaclass", lambda: (WithMeta.need, len(WithMeta)), (), (5, 7)),
    ("typeddict", lambda: Movie(name="x")["name"], (), "x"),
    ("protocol", lambda: HasLen.__name__, (), "HasLen"),
    ("newtype", lambda: UserId(3), (), 3),
    ("vec eq nohash", lambda v: v + Vec(1, 1), (Vec(1, 2),), Vec(2, 3)),
    ("nested class", lambda: Deep.Inner().who() is Deep, (), True),
    ("local sub", lambda: Outer2().method(), (), True),
    ("cache", cached, (5,), 120),
    ("lru module", fibonacci, (10,), 55),
    ("singledispatch", lambda q: (show(1), show(q), show("s")), (Point(1),), ("int", "point", "any")),
    ("contextmanager", lambda: ctx().__enter__(), (), 3),
    ("decorated", decorated, (1,), 4),
    ("mutual", even, (10,), True),
    ("local rec", local_rec, (4,), True),
    ("closure rec", closure_rec(), (4,), True),
    ("class body global", class_body_global, (), 3),
    ("annotations", weird, (1,), 1),
    ("regex", lines, ("a1b22",), ["1", "22"]),
    ("dict of functions", lambda x: [f(x) for f in TABLE.values()], (2,), [20, 1]),
    ("logger", uses_logger, (), "laboratory"),
    ("os.path", gsub, (), "a/b"),
    ("comp", comp, (3,), [0, 10, 20]),
    ("gen", gen, (3,), 30),
    ("kw", kwd, (), 3),
    ("module", mod, (), (10, 10, 10, 0.5)),
    ("module alias", modalias, (), 20),
    ("module set", modset, (), 6),
    ("catch", catch, (), 3),
    ("__name__", main_name, (), __name__),
    ("sentinel", missing_sentinel, (), True),
    ("subclass dataclass there", make_sub, (), 1),
    ("partial", functools.partial(scaled, 4), (), 40),
    ("bound", Point(3).norm, (), 30),
    ("classmethod", Square.make, (3,), None),
    ("class", Point, (3,), Point(3)),
    ("callable instance", operator.itemgetter(1), ([1, 2],), 2),
    ("builtin", pow, (2, 3), 8),
    ("method desc", str.upper, ("a",), "A"),
    ("function arg", lambda f: f(3), (scaled,), 30),
    ("class arg", lambda k: k(1).norm(), (Point,), 10),
    ("lambda result", lambda: (lambda x: x)(5), (), 5),
    ("exception", catch, (), 3),
    ("datetime", lambda d: d.year, (datetime.datetime(2020, 1, 1),), 2020),
    ("path", lambda q: q.name, (pathlib.Path("/a/b"),), "b"),
    ("decimal", lambda d: d + 1, (decimal.Decimal(1),), decimal.Decimal(2)),
    ("random", lambda r: r.random() >= 0, (random.Random(1),), True),
    ("defaultdict", lambda d: d["x"].append(1) or d["x"], (collections.defaultdict(list),), [1]),
    ("dd lambda", lambda d: d["x"], (collections.defaultdict(lambda: LIMIT),), 3),
    ("weak dict", (lambda w: lambda: len(w))(weakref.WeakValueDictionary()), (), 0),
    ("mappingproxy", lambda m: m["a"], (types.MappingProxyType({"a": 1}),), 1),
    ("simple ns", lambda n: n.x, (types.SimpleNamespace(x=1),), 1),
    ("dict view", lambda k: list(k), ({"a": 1}.keys(),), ["a"]),
    ("itertools", lambda: list(itertools.chain([1], [2])), (), [1, 2]),
    ("sys.stderr", lambda: sys.stderr is not None, (), True),
    ("union type", lambda t: t, (int | None,), int | None),
    ("generic alias", lambda t: t, (list[int],), list[int]),
    ("typing alias", lambda t: t, (typing.Optional[Point],), typing.Optional[Point]),
]


def simulate(steps, seed=1):
    rng = random.Random(seed)
    state = [0.0] * 3
    for _ in range(steps):
        state = [s + rng.gauss(0, 1) for s in state]
    return len(state)


def integrate(f, a, b, n=100):
    h = (b - a) / n
    return round(sum(f(a + h * (i + 0.5)) for i in range(n)) * h, 3)


def parse_fasta(text):
    return {part.split("\n")[0]: "".join(part.split("\n")[1:]) for part in text.split(">")[1:]}


def histogram(values, bins):
    counted = Counter(int(v // bins) for v in values)
    return OrderedDict(sorted(counted.items()))


def sweep(grid):
    return [dict(zip(grid, point)) for point in product(*grid.values())]


def newton(f, df, x):
    for _ in range(20):
        x = x - f(x) / df(x)
    return round(x, 6)


class Matrix:
    def __init__(self, rows):
        self.rows = rows

    def __matmul__(self, other):
        return Matrix([[sum(a * b for a, b in zip(r, c)) for c in zip(*other.rows)] for r in self.rows])

    def __eq__(self, other):
        return self.rows == other.rows

    def __hash__(self):
        return 1

    def __getitem__(self, i):
        return self.rows[i]


class Model:
    defaults = {"rate": 0.1}

    def __init__(self, **params):
        self.params = {**self.defaults, **params}

    def fit(self, xs):
        self.mean_ = statistics.mean(xs)
        return self

    def predict(self, x):
        return x - self.mean_

    def __repr__(self):
        return f"Model({self.params})"


class Pipeline:
    def __init__(self, *steps):
        self.steps = steps

    def __call__(self, x):
        return reduce(lambda v, s: s(v), self.steps, x)


class Timer:
    def __enter__(self):
        self.began = 1
        return self

    def __exit__(self, *_):
        self.took = 2


class Tree:
    def __init__(self, value, *children):
        self.value, self.children, self.parent = value, children, None
        [setattr(c, "parent", self) for c in children]

    def total(self):
        return self.value + sum(c.total() for c in self.children)


class Temperature:
    class Celsius:
        def __set_name__(self, owner, name):
            self.name = "_" + name

        def __get__(self, obj, kind):
            return getattr(obj, self.name, 0) if obj else self

        def __set__(self, obj, value):
            setattr(obj, self.name, value)

    reading = Celsius()


class Lazy:
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return name.upper()


class Money(int):
    def __new__(cls, n):
        return super().__new__(cls, n)

    def __add__(self, o):
        return Money(int(self) + int(o))


class Bag(dict):
    def most(self):
        return max(self, key=self.get)


class Ring(list):
    def __getitem__(self, i):
        return super().__getitem__(i % len(self))


class Retry(Exception):
    pass


class Attempt(Retry):
    def __init__(self, n):
        super().__init__(n)
        self.n = n


def retrying(times):
    def around(f):
        @functools.wraps(f)
        def inner(*a):
            for n in range(times):
                try:
                    return f(*a, n)
                except Retry:
                    continue
            raise Attempt(times)

        return inner

    return around


@retrying(3)
def flaky(x, n):
    if n < 2:
        raise Attempt(n)
    return x, n


def memo(f):
    known = {}

    def inner(n):
        if n not in known:
            known[n] = f(inner, n)
        return known[n]

    return inner


collatz = memo(lambda self, n: 0 if n == 1 else 1 + self(n // 2 if n % 2 == 0 else 3 * n + 1))


def walrus(xs):
    return [y for x in xs if (y := x * 2) > 2]


def matches(command):
    match command:
        case {"op": "add", "args": [a, b]}:
            return a + b
        case Point(x=x):
            return x
        case _:
            return None


def star(first, *rest, key=None, **more):
    return first, rest, key, more


def nested_data(d):
    return sorted((k, len(v)) for k, v in d.items())


def by_operator(xs):
    return reduce(operator.mul, xs, 1)


def unpack(blob):
    return json.loads(blob)["a"][0]


def fstring(x):
    return f"{x!r:>5}|{scaled(x):.1f}"


def groups():
    try:
        raise ExceptionGroup("g", [Attempt(1), BadRow("x")])
    except* Retry as found:
        kept = len(found.exceptions)
    except* ValueError:
        pass
    return kept


def dates(day):
    return (day + datetime.timedelta(days=1)).isoformat()


def exact(a, b):
    return fractions.Fraction(a, b) + decimal.Decimal("1").as_integer_ratio()[0]


def heap(xs):
    h = list(xs)
    heapq.heapify(h)
    return [heapq.heappop(h) for _ in range(2)]


def fold(words):
    return functools.reduce(lambda a, b: a | {b: len(b)}, words, {})


CALLS += [
    ("simulation", simulate, (5,), 3),
    ("integral of a lambda", integrate, (lambda x: x * x, 0, 1), 0.333),
    ("fasta", parse_fasta, (">a\nAC\nGT",), {"a": "ACGT"}),
    ("histogram", histogram, ([1, 2, 2.5], 2), OrderedDict([(0, 1), (1, 2)])),
    ("sweep", sweep, ({"a": [1], "b": [2, 3]},), [{"a": 1, "b": 2}, {"a": 1, "b": 3}]),
    ("newton", newton, (lambda x: x * x - 4, lambda x: 2 * x, 1.0), 2.0),
    ("operators of a class", lambda m: m @ m, (Matrix([[1, 1], [0, 1]]),), Matrix([[1, 2], [0, 1]])),
    ("fitted model", lambda m, x: m.predict(x), (Model(a=1).fit([1, 2, 3]), 5), 3),
    ("pipeline of functions", Pipeline(scaled, str, len), (5,), 2),
    ("context manager class", lambda: (lambda t: (t.__enter__(), t.__exit__(), t.took)[2])(Timer()), (), 2),
    (
        "tree with parents",
        lambda t: (t.total(), t.children[0].parent is t),
        (Tree(1, Tree(2), Tree(3)),),
        (6, True),
    ),
    (
        "descriptor",
        lambda: (lambda t: (setattr(t, "reading", 3), t.reading, t._reading)[1:])(Temperature()),
        (),
        (3, 3),
    ),
    ("getattr", lambda z: z.name, (Lazy(),), "NAME"),
    ("subclass of int", lambda m: m + 2, (Money(3),), Money(5)),
    ("subclass of dict", lambda b: b.most(), (Bag(a=1, b=3),), "b"),
    ("subclass of list", lambda r: r[4], (Ring([1, 2, 3]),), 2),
    ("decorator with arguments", flaky, (7,), (7, 2)),
    ("memo closure", collatz, (6,), 8),
    ("walrus", walrus, ([1, 2],), [4]),
    ("match", matches, (Point(4),), 4),
    ("star arguments", star, (1, 2), (1, (2,), None, {})),
    ("nested data", nested_data, ({"b": [1], "a": []},), [("a", 0), ("b", 1)]),
    ("reduce by operator", by_operator, ([2, 3],), 6),
    ("json", unpack, ('{"a": [5]}',), 5),
    ("f-string", fstring, (5,), "    5|50.0"),
    ("exception groups", groups, (), 1),
    ("dates", dates, (datetime.date(2024, 2, 28),), "2024-02-29"),
    ("fractions", exact, (1, 2), fractions.Fraction(3, 2)),
    ("heap", heap, ([3, 1, 2],), [1, 2]),
    ("fold", fold, (["ab"],), {"ab": 2}),
]
