"""Imports go one way, and each module knows no more than it should."""

import ast
import pathlib
import subprocess
import sys

import pytest

import skbackprop

PACKAGE = pathlib.Path(skbackprop.__file__).parent

# What a module may import from the package. Rows build on rows above them.
KNOWS = {
    "blocks": set(),
    "calculus": set(),
    "activations": {"blocks"},
    "losses": {"blocks", "calculus"},
    "optimizers": {"blocks"},
    "schedules": set(),
    "scaling": {"blocks"},
    "network": {"calculus"},
    "training": {"blocks"},
    "monitoring": set(),
    "parameters": {"activations", "losses", "optimizers", "schedules"},
    "architecture": {"activations", "parameters"},
    "model": {"activations", "network", "parameters", "scaling"},
    "fitting": {
        "architecture",
        "blocks",
        "model",
        "monitoring",
        "parameters",
        "scaling",
        "training",
    },
    "callbacks": set(),
    "export": {"model"},
    "regressor": {"callbacks", "export", "fitting", "model", "parameters"},
    "__init__": {"regressor"},
}
MAY_IMPORT_SKLEARN = {"regressor", "callbacks", "export"}


def imports(module):
    """(modules of the package, top-level names of others) that a module imports."""
    own, others = set(), set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            others |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            own |= {node.module} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            others.add(node.module.partition(".")[0])
    return own, others


def test_every_module_is_in_the_table():
    assert {path.stem for path in PACKAGE.glob("*.py")} == set(KNOWS)


@pytest.mark.parametrize("module", KNOWS)
def test_imports_go_one_way(module):
    own, others = imports(module)
    assert own <= KNOWS[module]
    assert "skbackprop" not in others  # the package is imported by relative names alone
    if module not in MAY_IMPORT_SKLEARN:
        assert "sklearn" not in others
    if module in ("calculus", "blocks", "network"):
        assert "scipy" not in others


def test_the_order_has_no_circle():
    order = list(KNOWS)
    assert all(order.index(b) < order.index(a) for a in order for b in KNOWS[a])


def test_calculus_needs_numpy_alone():
    code = (
        "import sys, skbackprop.calculus; "
        "sys.exit(any(name in sys.modules for name in ('sklearn', 'scipy', 'joblib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent).returncode == 0
