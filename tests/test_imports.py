"""The architecture's rules, read from the source: which way imports point, where each library is
at home, how long a file and a function may be."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "neurosim"

# Imports point to the left. What stands in one column is side by side and never imports each other.
# `__init__` is the public names: the command line and the tools may use them, nothing beneath.
ORDER = (
    {"errors"},
    {"specs"},
    {"paramfile", "network", "stimuli"},
    {"plan"},
    {"backends", "simulation", "record"},
    {"experiment", "data"},
    {"checkpointing"},
    {"run"},
    {"sweep"},
    {"coding"},
    {"analysis"},
    {"plotting"},
    {"api"},
    {"__init__"},
    {"console"},
    {"console_study"},
    {"costs"},
    {"cli_report", "cli_study", "cli_data"},
    {"cli"},
    {"__main__"},
)
LEVEL = {part: level for level, parts in enumerate(ORDER) for part in parts}
SIBLING_SEAMS = {("simulation", "backends.base")}

# Where each third-party library may be imported; "" is anywhere. The tools are free in this (and
# TensorFlow is at home there alone).
HOMES = {
    "numpy": ("",),
    "scipy": ("backends", "record", "stimuli", "data", "coding", "analysis"),
    "xarray": ("record", "analysis"),
    "lark": ("paramfile",),
    "pydantic": ("specs",),
    "pydantic_core": ("specs",),
    "networkx": ("network",),
    "numba": ("backends",),
    "threadpoolctl": ("backends",),
    "h5py": ("record", "stimuli", "analysis"),
    "PIL": ("stimuli", "data"),
    "sklearn": ("analysis", "data"),
    "matplotlib": ("plotting",),
    "typer": ("cli", "cli_report", "cli_study", "cli_data"),
    "rich": ("cli", "cli_data", "console", "console_study"),
}
DISTRIBUTIONS = {"PIL": "pillow", "pydantic_core": "pydantic", "sklearn": "scikit-learn"}

MAX_FILE, MAX_FUNCTION = 400, 60
# A longer one says why: "# Long: reason" at the head of the file, or under the def.
EXCUSE = re.compile(r"^\s*# Long: \S")


def dotted(path: Path) -> str:
    """Name of a module inside the package, such as ``plan.order``; its own is ``__init__``."""
    parts = list(path.relative_to(ROOT / PACKAGE).with_suffix("").parts)
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def is_package(path: Path) -> bool:
    return path.name == "__init__.py"


def imports(source: str, module: str, package: bool = False) -> Iterator[tuple[str, int]]:
    """Absolute dotted names that a module imports, wherever in it, with their lines.

    ``from a import b`` counts as ``a.b``, which may be a module or a name in one.
    """
    around = [PACKAGE, *module.split(".")]
    if not package or module == "__init__":
        around.pop()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            if node.level:
                base = [*around[: len(around) - node.level + 1], *base]
            for alias in node.names:
                yield ".".join([*base, alias.name]), node.lineno


def part_of(target: str) -> str:
    """Part of the package that a name inside it belongs to; public names are ``__init__``'s."""
    first = target.partition(".")[0]
    return first if first in LEVEL else "__init__"


def wrong_arrow(module: str, target: str) -> str | None:
    """What is wrong with ``module`` importing ``neurosim.<target>``, or None."""
    here, there = part_of(module), part_of(target)
    if here == there:
        return None
    if any(
        here == seam_from and f"{target}.".startswith(f"{seam_to}.")
        for seam_from, seam_to in SIBLING_SEAMS
    ):
        return None
    if LEVEL[here] == LEVEL[there]:
        return f"{here} and {there} stand side by side and may not import each other"
    if LEVEL[here] < LEVEL[there]:
        return f"{there} comes after {here}: the arrow runs back"
    return None


def homeless(module: str, library: str) -> str | None:
    """What is wrong with ``module`` importing a third-party ``library``, or None."""
    if library not in HOMES:
        return f"{library} has no home in HOMES (and setup.cfg)"
    homes = HOMES[library]
    if any(home == "" or f"{module}.".startswith(f"{home}.") for home in homes):
        return None
    return f"{library} is at home in {', '.join(homes)} only"


def problems(source: str, module: str, package: bool = False) -> list[str]:
    """Every import of a module that breaks a rule."""
    found = []
    for name, line in imports(source, module, package):
        top, _, rest = name.partition(".")
        if top == PACKAGE:
            wrong = wrong_arrow(module, rest)
        elif top in sys.stdlib_module_names:
            wrong = None
        else:
            wrong = homeless(module, top)
        if wrong:
            found.append(f"{module}:{line}: imports {name}: {wrong}")
    return found


def tool_problems(source: str, name: str) -> list[str]:
    """Imports of a tool that go past the public names of the package."""
    return [
        f"tools/{name}:{line}: imports {target}: tools use the public names only"
        for target, line in imports(source, "__init__")
        if target.startswith(f"{PACKAGE}.")
        and (target.count(".") > 1 or target.partition(".")[2] in LEVEL)
    ]


def long_parts(source: str, name: str) -> list[str]:
    """A file and functions longer than allowed, unless their head says why."""
    lines = source.splitlines()
    found = []
    if len(lines) > MAX_FILE and not any(EXCUSE.match(line) for line in lines[:10]):
        found.append(f"{name}: {len(lines)} lines, at most {MAX_FILE}")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        head = lines[node.lineno : node.body[0].lineno]
        if length > MAX_FUNCTION and not any(EXCUSE.match(line) for line in head):
            found.append(
                f"{name}:{node.lineno}: {node.name} has {length} lines, at most {MAX_FUNCTION}"
            )
    return found


MODULES = sorted((ROOT / PACKAGE).rglob("*.py"))
TOOLS = sorted((ROOT / "tools").rglob("*.py"))


def test_every_part_of_the_package_has_a_place_in_the_order() -> None:
    found = {dotted(path).partition(".")[0] for path in MODULES}
    assert found
    assert found <= set(LEVEL), f"give a place in ORDER to: {sorted(found - set(LEVEL))}"


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_point_one_way_and_libraries_stay_at_home(path: Path) -> None:
    assert problems(path.read_text(encoding="utf-8"), dotted(path), is_package(path)) == []


def test_tools_use_public_names() -> None:
    assert [p for path in TOOLS for p in tool_problems(path.read_text("utf-8"), path.name)] == []


@pytest.mark.parametrize("path", MODULES + TOOLS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    assert long_parts(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))) == []


def test_every_library_with_a_home_is_declared_in_setup_cfg() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["options"]["install_requires"].split()
    declared = {re.split(r"[\[<>=~!;]", line)[0].lower() for line in lines}
    assert {DISTRIBUTIONS.get(library, library) for library in HOMES} == declared


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("specs.layers", "from neurosim.plan import lower"),
        ("specs.layers", "import neurosim.plan.lower"),
        ("specs.layers", "from ..plan.lower import lower"),
        ("specs.layers", "def f():\n    from neurosim import plan"),
        ("network.graph", "from neurosim.paramfile import parse"),
        ("simulation.clock", "from neurosim.backends.cpu import Cpu"),
        ("simulation.clock", "from neurosim.record import layout"),
        ("record.layout", "from neurosim.backends.base import Backend"),
        ("run", "from neurosim import open_run"),
        ("run", "import neurosim"),
        ("run", "from . import cli"),
        ("plotting", "import neurosim.cli"),
        ("network.graph", "import numba"),
        ("plan.lower", "import networkx as nx"),
        ("plan.orders", "import networkx as nx"),
        ("analysis.readout", "from matplotlib import pyplot"),
        ("cli", "import tensorflow"),
        ("backends.cpu", "import torch"),
    ],
)
def test_a_wrong_import_is_caught(module: str, source: str) -> None:
    assert len(problems(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("plan.lower", "from neurosim.specs import Model\nfrom .order import order\nimport numpy"),
        (
            "network.phases",
            "import networkx as nx\nfrom __future__ import annotations\nimport heapq",
        ),
        ("simulation.simulator", "from neurosim.backends.base import Backend"),
        ("simulation.simulator", "from neurosim.backends import base"),
        ("cli", "import typer\nfrom neurosim import open_run\nfrom neurosim.run import run"),
        ("run", "from . import errors\nfrom .plan import Plan"),
    ],
)
def test_a_right_import_is_let_through(module: str, source: str) -> None:
    assert problems(source, module) == []


def test_relative_imports_of_a_package_resolve_inside_it() -> None:
    assert list(imports("from .grammar import x", "paramfile", package=True)) == [
        ("neurosim.paramfile.grammar.x", 1)
    ]
    assert list(imports("from .run import x", "__init__", package=True)) == [("neurosim.run.x", 1)]


def test_tools_past_the_public_names_are_caught() -> None:
    assert tool_problems("import neurosim\nfrom neurosim import open_run", "bench.py") == []
    assert len(tool_problems("from neurosim.plan import lower", "bench.py")) == 1
    assert len(tool_problems("from neurosim import plan", "bench.py")) == 1


def test_long_files_and_functions_are_caught() -> None:
    body = "    x = 1\n" * 70
    assert len(long_parts(f"def f():\n{body}", "a.py")) == 1
    assert long_parts(f"def f():\n    # Long: one table, told once\n{body}", "a.py") == []
    assert len(long_parts("x = 1\n" * 401, "a.py")) == 1
    assert long_parts("# Long: one table, told once\n" + "x = 1\n" * 401, "a.py") == []
