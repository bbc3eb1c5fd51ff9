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
    "settings": set(),
    "messages": set(),
    "blocks": set(),
    "quiet": set(),
    "differences": {"quiet"},
    "reports": set(),
    "calculus": {"blocks", "differences", "messages", "reports"},
    "activations": {"blocks", "settings"},
    "losses": {"blocks", "calculus", "settings"},
    "optimizers": {"settings"},
    "memory": {"messages", "optimizers"},
    "schedules": {"messages", "settings"},
    "scaling": {"blocks"},
    "encoding": {"blocks", "scaling"},
    "workspace": {"blocks"},
    "network": {"blocks", "calculus", "workspace"},
    "second_order": {"blocks", "calculus"},
    "bounded": set(),
    "feed": {"blocks"},
    "split": {"feed"},
    "divergence": {"blocks", "feed"},
    "fingerprint": {"blocks"},
    "atomic": set(),
    "container": {"atomic", "messages"},
    "training": {"blocks", "feed"},
    "lbfgs": {"blocks", "feed", "training"},
    "lm": {"blocks", "feed", "lbfgs", "second_order", "training"},
    "threads": set(),
    "stack": {
        "activations",
        "feed",
        "losses",
        "optimizers",
        "quiet",
        "threads",
        "training",
    },
    "monitoring": {"quiet"},
    "parameters": {"activations", "losses", "messages", "optimizers", "schedules", "settings"},
    "automatic": {"parameters"},
    "conformal": {"scaling"},
    "architecture": {"activations", "messages", "parameters", "settings"},
    "values": {"activations", "container", "losses", "optimizers", "parameters", "schedules"},
    "schema": {"blocks", "container", "optimizers", "parameters", "values"},
    "persistence": {
        "architecture",
        "conformal",
        "container",
        "encoding",
        "messages",
        "parameters",
        "schema",
        "values",
    },
    "checkpoints": {"atomic", "container", "fingerprint", "parameters", "persistence"},
    "model": {
        "activations",
        "blocks",
        "bounded",
        "encoding",
        "network",
        "parameters",
        "scaling",
    },
    "derivatives": {"blocks", "calculus", "messages", "model", "second_order"},
    "effects": {"derivatives", "model", "scaling"},
    "contracts": {"reports"},
    "activation_contract": {
        "blocks",
        "contracts",
        "differences",
        "messages",
        "parameters",
        "quiet",
        "reports",
    },
    "loss_contract": {
        "activations",
        "blocks",
        "contracts",
        "differences",
        "losses",
        "messages",
        "parameters",
        "quiet",
        "reports",
    },
    "inputs": {"encoding", "scaling"},
    "starting": {"blocks", "inputs", "model", "scaling", "threads"},
    "ending": {"conformal", "divergence", "parameters"},
    "fitted": {"model", "training"},
    "watching": {"divergence", "monitoring"},
    "fitting": {
        "quiet",
        "architecture",
        "automatic",
        "divergence",
        "ending",
        "feed",
        "fingerprint",
        "fitted",
        "lbfgs",
        "lm",
        "losses",
        "memory",
        "model",
        "monitoring",
        "parameters",
        "scaling",
        "split",
        "stack",
        "starting",
        "threads",
        "training",
        "watching",
    },
    "definition": set(),
    "trained": {
        "architecture",
        "automatic",
        "blocks",
        "feed",
        "fitting",
        "lbfgs",
        "model",
        "starting",
        "training",
    },
    "formulas": set(),
    "equations": {"formulas", "losses", "messages", "optimizers"},
    "rules": {"calculus", "definition", "derivatives", "equations", "losses", "model", "trained"},
    "notation": set(),
    "steps": {
        "activations",
        "equations",
        "fitting",
        "formulas",
        "messages",
        "optimizers",
        "trained",
    },
    "rendering": {"notation"},
    "markup": {"notation", "rendering"},
    "explanation": {
        "markup",
        "memory",
        "messages",
        "quiet",
        "rendering",
        "steps",
        "threads",
        "trained",
    },
    "callbacks": set(),
    "export": {"quiet", "model"},
    "outcome": {"parameters"},
    "columns": set(),
    "tables": {"columns", "messages", "quiet", "scaling"},
    "scoring": {"messages", "parameters", "tables"},
    "regressor": {
        "quiet",
        "callbacks",
        "checkpoints",
        "conformal",
        "derivatives",
        "effects",
        "explanation",
        "export",
        "fitting",
        "model",
        "outcome",
        "parameters",
        "persistence",
        "scoring",
        "scaling",
        "tables",
    },
    "estimators": {"messages", "regressor"},
    "many": {
        "quiet",
        "architecture",
        "callbacks",
        "ending",
        "fitting",
        "messages",
        "regressor",
        "stack",
        "threads",
    },
    "products": {
        "quiet",
        "derivatives",
        "estimators",
        "fitting",
        "losses",
        "messages",
        "model",
        "second_order",
        "tables",
    },
    "checking": {
        "automatic",
        "definition",
        "differences",
        "estimators",
        "fitting",
        "losses",
        "messages",
        "quiet",
        "regressor",
        "reports",
        "rules",
        "scaling",
        "tables",
        "threads",
        "trained",
    },
    "drawing": {"messages"},
    "rates": {"automatic", "fitting", "monitoring", "parameters", "training"},
    "gradient_flow": {"lbfgs", "quiet", "regressor", "training"},
    "loss_display": {"drawing", "estimators", "messages", "parameters", "rates"},
    "gradient_flow_display": {"drawing", "estimators", "gradient_flow"},
    "activation_display": {"drawing", "estimators", "messages", "parameters"},
    "network_display": {"drawing", "estimators", "messages", "model", "parameters"},
    "effects_display": {"drawing", "estimators", "parameters", "scaling", "tables"},
    "__init__": {
        "activation_contract",
        "activation_display",
        "checking",
        "container",
        "effects_display",
        "gradient_flow_display",
        "loss_contract",
        "loss_display",
        "many",
        "network_display",
        "products",
        "regressor",
    },
}
MAY_IMPORT_SKLEARN = {
    "regressor",
    "callbacks",
    "estimators",
    "columns",
    "export",
    "products",
    "scoring",
    "tables",
    "drawing",
    "gradient_flow",
}
NUMPY_ALONE = (
    "differences",
    "calculus",
    "blocks",
    "workspace",
    "network",
    "second_order",
    "container",
)


def imports(module):
    """(modules of the package, top-level names of others) that a module imports."""
    own, others = set(), set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            others |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            own |= {node.module} if node.module else {alias.name for alias in node.names}
            own -= {"__version__"}
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
    if module != "threads":
        assert "threadpoolctl" not in others
    if module in NUMPY_ALONE:
        assert others - sys.stdlib_module_names == {"numpy"}


def test_the_order_has_no_circle():
    order = list(KNOWS)
    assert all(order.index(b) < order.index(a) for a in order for b in KNOWS[a])


@pytest.mark.parametrize("module", NUMPY_ALONE)
def test_calculus_blocks_and_network_need_numpy_alone(module):
    others = ("sklearn", "scipy", "joblib", "threadpoolctl")
    code = (
        f"import sys, skbackprop.{module}; sys.exit(any(name in sys.modules for name in {others}))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent).returncode == 0


def test_public_names_are_imported_when_they_are_first_used():
    code = (
        "import sys, skbackprop; light = not {'numpy', 'sklearn'} & set(sys.modules); "
        "names = [getattr(skbackprop, name) for name in skbackprop.__all__]; "
        "sys.exit(not light or dir(skbackprop) != sorted(skbackprop.__all__))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent).returncode == 0
