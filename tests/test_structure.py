"""The floors of the house: imports only go down, nothing goes sideways, and the front door is light."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cytof"

FLOORS = {
    # some floors have stairs of their own: errors <- checks; arrays <- events <- panel <- io <- study, datasets;
    # transform (features, draws, the log of steps) <- neighbors
    "keys": 0, "errors": 0, "check": 0.1,
    "scale": 1.0, "density": 1.1, "order": 1.0, "provenance": 1.0, "kinetics": 1.0,
    "region": 1.1, "events": 1.2, "panel": 1.3, "io": 1.4, "study": 1.5, "datasets": 1.5,
    "clean": 2, "gate": 2,
    "assemble": 3, "transform": 3, "neighbors": 3.1,
    "cluster": 4, "embed": 4,
    "track": 5,
    "compare": 6,
    "clinical": 6,
    "plot": 7,
    "report": 8,
    "pipeline": 9,
    "app": 10,
    "cli": 11, "__main__": 12,
}  # fmt: skip
ONLY_FLOOR_0 = {"plot"}
HEAVY = {
    "matplotlib",
    "numba",
    "scanpy",
    "openTSNE",
    "lifelines",
    "sklearn",
    "anndata",
    "flowkit",
    "seaborn",
    "igraph",
    "great_tables",
    "docx",
}


def room_of(path: Path) -> str:
    """cytof/cluster/_som.py -> cluster; cytof/_assemble.py -> assemble."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return first if first.startswith("__") else first.removeprefix("_")


def imports_of(path: Path) -> set[tuple[str, int]]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "cytof":
            parts = node.module.split(".")
            names = [parts[1]] if len(parts) > 1 else [a.name for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name.split(".")[1] for a in node.names if a.name.startswith("cytof.")]
        else:
            continue
        found |= {(n if n.startswith("__") else n.removeprefix("_"), node.lineno) for n in names}
    return found


SOURCES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    room = room_of(path)
    assert room in FLOORS, f"{path} stands on no floor; give `{room}` one"
    for target, line in imports_of(path):
        if target in {room, "version"}:
            continue
        assert target in FLOORS, f"{path}:{line} imports cytof.{target}, which stands on no floor"
        assert FLOORS[target] < FLOORS[room], (
            f"{path}:{line}: {room} (floor {FLOORS[room]}) imports {target} (floor {FLOORS[target]}); only downward"
        )
        if room in ONLY_FLOOR_0:
            assert int(FLOORS[target]) == 0, f"{path}:{line}: {room} may import only floor 0, found {target}"


def test_every_floor_is_lived_on() -> None:
    rooms = {room_of(p) for p in SOURCES}
    assert rooms == set(FLOORS) - {"__main__"} | ({"__main__"} if (PACKAGE / "__main__.py").exists() else set())


MODULES = sorted(
    ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for p in PACKAGE.rglob("*.py")
    if p.name != "__main__.py"
)


@pytest.mark.parametrize("name", MODULES)
def test_all_is_complete_and_sorted(name: str) -> None:
    module = importlib.import_module(name)
    assert hasattr(module, "__all__"), f"{name} has no __all__"
    assert list(module.__all__) == sorted(module.__all__), f"{name}.__all__ is not sorted"
    for public in module.__all__:
        assert hasattr(module, public), f"{name}.__all__ lists {public}, which is not there"
    if name == "cytof":
        return
    tree = ast.parse(Path(module.__file__ or "").read_text("utf-8"))
    verbs = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    defined = {name for name in verbs if not name.startswith("_")}
    assert defined <= set(module.__all__), f"{name}: public but not in __all__: {defined - set(module.__all__)}"


def loaded_by(statement: str) -> set[str]:
    code = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return {m.split(".")[0] for m in json.loads(out)}


def test_import_cytof_is_light() -> None:
    assert not loaded_by("import cytof") & (HEAVY | {"pandas", "numpy"})


def test_public_names_have_docstrings() -> None:
    """Each name a room exports says what it does; tests/test_doctests.py runs the examples."""
    for name in MODULES:
        module = importlib.import_module(name)
        assert module.__doc__, f"{name} has no docstring"
        for public in module.__all__:
            member = getattr(module, public)
            if callable(member):
                assert member.__doc__, f"{name}.{public} has no docstring"
