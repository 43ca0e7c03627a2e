"""The floor plan as data: which rooms there are, and who may import whom.

A room is a module or a package directly below ``django_pushjobs``. Rooms lie on floors, and an
import leads down the stairs or to a neighbour, never up and never in a circle. What is read here
are the imports in the sources, including those that only type checkers see.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = "django_pushjobs"
ROOT = Path(__file__).resolve().parents[2] / PACKAGE

#: Floor -> its rooms, from the ground up.
FLOORS: Mapping[str, tuple[str, ...]] = {
    "ground": ("__init__", "conf", "exceptions", "states", "signals", "runtime"),
    "common": ("sentry", "recipients", "reporting"),
    "doors": ("transport", "broker", "db"),
    "ways out": ("backends",),
    "truth": ("models", "migrations"),
    "wings": ("events", "devices", "limits", "callbacks"),
    "life": ("lifecycle",),
    "sides": ("submission", "delivery"),
    "faces": ("services", "jobs", "relay"),
    "worker": ("worker",),
    "surface": ("api", "admin", "management", "checks", "apps", "testing"),
    "client": ("client",),
}
GROUND = FLOORS["ground"]
BELOW_TRUTH = (
    *GROUND,
    "sentry",
    "recipients",
    "reporting",
    "transport",
    "broker",
    "db",
    "backends",
)
BELOW_LIFE = (*BELOW_TRUTH, "models", "events", "devices", "limits", "callbacks")

#: Room, or module of one, -> the rooms and modules that it may import besides its own. The most
#: specific entry counts.
MAY_IMPORT: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(GROUND, ()),
    "sentry": GROUND,
    "recipients": GROUND,
    "reporting": GROUND,
    "transport": GROUND,
    "broker": GROUND,
    "db": (*GROUND, "sentry"),
    "backends": (*GROUND, "transport"),
    "models": (*GROUND, "db"),
    "migrations": ("models",),
    "events": (*BELOW_TRUTH, "models"),
    "devices": (*BELOW_TRUTH, "models"),
    "limits": (*BELOW_TRUTH, "models", "events"),
    "callbacks": (*BELOW_TRUTH, "models", "events"),
    "lifecycle": BELOW_LIFE,
    "submission": (*BELOW_LIFE, "lifecycle"),
    "delivery": (*BELOW_LIFE, "lifecycle"),
    "services": (*BELOW_LIFE, "lifecycle", "submission"),
    "jobs": ("delivery", "callbacks"),
    "relay": (*BELOW_LIFE, "lifecycle", "submission", "delivery"),
    **dict.fromkeys(
        ("api", "admin", "management", "checks"),
        (*BELOW_LIFE, "services", "submission"),
    ),
    "management.commands.pushjobs_relay": ("relay",),
    "management.commands.pushjobs_workers": ("conf", "broker", "worker", "worker.supervisor"),
    "management.commands.rqgeventworker": (
        *(*GROUND, "sentry", "broker", "worker", "worker.supervisor"),
    ),
    "apps": ("checks", "models", "broker"),
    "testing": (*GROUND, "backends"),
    "worker.supervisor": (),
    "worker": ("conf", "runtime", "sentry", "worker.supervisor"),
    "worker.vitals": ("conf", "runtime", "sentry", "worker.supervisor", "broker"),
    "client": (),
}

#: Imports of our own inside functions: Django has to be there first.
MAY_IMPORT_LATE = ("apps", "management.commands.rqgeventworker")


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a module imports.

    :param source: the importing module, below the package.
    :param target: absolute name of the imported module, or of the module the name comes from.
    :param late: whether it stands inside a function.
    :param typing: whether only type checkers see it.
    """

    source: str
    target: str
    line: int
    late: bool
    typing: bool

    @property
    def is_ours(self) -> bool:
        return self.target == PACKAGE or self.target.startswith(f"{PACKAGE}.")

    @property
    def below(self) -> str:
        """The target below the package."""
        return "__init__" if self.target == PACKAGE else self.target.removeprefix(f"{PACKAGE}.")


@cache
def modules() -> Mapping[str, Path]:
    """Return every module of the package by its name below the package."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


@cache
def imports(module: str) -> tuple[Import, ...]:
    """Return everything that ``module`` imports, wherever in the file that stands."""
    path = modules()[module]
    own = PACKAGE if module == "__init__" else f"{PACKAGE}.{module}"
    base = own.split(".") if path.name == "__init__.py" else own.split(".")[:-1]
    return tuple(_imports(module, ast.parse(path.read_text("utf-8")), base, False, False))


def _imports(
    module: str, tree: ast.AST, base: list[str], late: bool, typing: bool
) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno, late, typing)
        elif isinstance(node, ast.ImportFrom):
            start = base[: len(base) - node.level + 1] if node.level else []
            source = ".".join([*start, *filter(None, [node.module])])
            for alias in node.names:
                name = f"{source}.{alias.name}"
                is_module = name.removeprefix(f"{PACKAGE}.") in modules()
                yield Import(module, name if is_module else source, node.lineno, late, typing)
        else:
            guarded = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from _imports(module, node, base, late or function, typing or guarded)


def room(module: str) -> str:
    """Return the room of a module."""
    if module.startswith("worker.supervisor"):
        return "worker.supervisor"
    return module.partition(".")[0]


def rooms() -> set[str]:
    return {room(module) for module in modules()}


def arrows() -> set[tuple[str, str]]:
    """Return which room imports which."""
    return {
        (room(module), room(found.below))
        for module in modules()
        for found in imports(module)
        if found.is_ours and room(module) != room(found.below)
    }


def floor(room: str) -> int:
    """Return the number of the floor on which a room lies; the ground is 0."""
    top = room.partition(".")[0]
    return next(number for number, names in enumerate(FLOORS.values()) if top in names)


def may_import(module: str) -> tuple[str, ...]:
    """Return the entry of :data:`MAY_IMPORT` that counts for ``module``."""
    name = module
    while name not in MAY_IMPORT:
        name, _, _ = name.rpartition(".")
        if not name:
            raise KeyError(module)
    return (*MAY_IMPORT[name], room(module))


def circles(edges: set[tuple[str, str]]) -> list[list[str]]:
    """Return the groups of nodes of which each can reach all others (Tarjan's algorithm)."""
    targets: dict[str, list[str]] = {}
    for source, target in sorted(edges):
        targets.setdefault(source, []).append(target)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in targets.get(node, ()):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(targets):
        if node not in index:
            visit(node)
    return found


def picture() -> str:
    """Return the rooms from the top floor down, each with the rooms that it imports."""
    drawn = [f"{len(rooms())} rooms, {len(arrows())} arrows"]
    for name, names in reversed(FLOORS.items()):
        drawn.append(f"-- {name}")
        for each in sorted(rooms()):
            if each.partition(".")[0] in names:
                leads = sorted(target for source, target in arrows() if source == each)
                drawn.append(f"{each:20} -> {' '.join(leads) or 'nothing of ours'}")
    return "\n".join(drawn)
