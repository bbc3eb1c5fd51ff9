"""What the documentation shows is what the code does."""

import doctest
import importlib
import inspect
import pathlib
import pkgutil
import re

import numpy as np
import pytest
from own import classic

import skbackprop
from skbackprop import BackpropRegressor, losses, network, optimizers

ROOT = pathlib.Path(__file__).parents[1]
MODULES = [f"skbackprop.{module.name}" for module in pkgutil.iter_modules(skbackprop.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", ["README.md", "docs/derivation.md"])
def test_examples_in_documents(name):
    result = doctest.testfile(str(ROOT / name), module_relative=False, encoding="utf-8")
    assert result.failed == 0 and result.attempted > 0


def test_the_other_examples_of_readme_run(tmp_path, monkeypatch):
    """With a model, data and a direction of the reader's own, and each with its own imports."""
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.chdir(tmp_path)
    X, y = np.random.default_rng(0).normal(size=(2, 60, 3))
    y = y[:, 0]
    model = classic(hidden_layer_sizes=(4,), activation="tanh", random_state=0)
    given = {"X": X, "y": y, "X_train": X, "y_train": y, "X_test": X, "model": model.fit(X, y)}
    given |= {"v": np.ones(model.theta_.size), "BackpropRegressor": BackpropRegressor}
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = [b for b in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if ">>>" not in b]
    assert len(blocks) == 7
    for block in blocks:
        exec(block, dict(given))


def test_an_example_says_at_its_top_what_it_needs():
    for path in (ROOT / "examples").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        top = source.split('"""')[1].replace("\n", " ")
        needs = {"matplotlib": "import matplotlib", "pandas": "as_frame=True|import pandas"}
        for package, sign in needs.items():
            assert bool(re.search(sign, source)) == (package in top.split("Needs")[-1]), path.name


def test_every_parameter_and_fitted_attribute_is_documented():
    text = inspect.getdoc(BackpropRegressor)
    parameters, _, attributes = text.partition("Attributes\n----------")
    for name in inspect.signature(BackpropRegressor).parameters:
        assert (
            f"\n{name} : " in parameters
            or f"{name}, " in parameters
            or f", {name} : " in parameters
        )
    model = classic(max_iter=1).fit([[0.0], [1.0]], [0.0, 1.0])
    for name in [name for name in vars(model) if name.endswith("_")]:
        assert name in attributes, name


def test_the_derivation_quotes_the_code_as_it_is():
    """Every line of code in the table of equations stands in the source."""
    source = "".join(map(inspect.getsource, (network, losses, optimizers)))
    document = (ROOT / "docs" / "derivation.md").read_text(encoding="utf-8")
    table = [
        line for line in document.splitlines() if line.startswith("|") and line.endswith("` |")
    ]
    quoted = [code for line in table for code in re.findall(r"`([^`]+)`", line.split("|")[-2])]
    assert len(quoted) >= 14
    assert [code for code in quoted if code not in source] == []


def test_every_name_in_the_text_of_the_derivation_is_one_of_the_package():
    """`Class.method`, `rule(dG, …)`, `module.py` and the like, which a rewriting leaves behind."""
    document = (ROOT / "docs" / "derivation.md").read_text(encoding="utf-8")
    text = re.sub(r"```.*?```", "", document, flags=re.DOTALL).partition("## 12.")[0]
    quoted = set(re.findall(r"`([^`]+)`", text))
    modules = [importlib.import_module(name) for name in MODULES]
    names = {name: value for module in modules for name, value in vars(module).items()}
    files = {code for code in quoted if code.endswith(".py")}
    methods = {code for code in quoted if re.fullmatch(r"[A-Z]\w+\.\w+", code)}
    rules = {code.partition("(")[0] for code in quoted if re.fullmatch(r"\w+\(d?G\b.*\)", code)}
    assert files <= {f"{name.partition('.')[2]}.py" for name in MODULES}
    assert len(methods) >= 8 and len(rules) == 5 and len(files) >= 6  # the patterns find them
    for owner, _, name in (code.partition(".") for code in methods):
        assert hasattr(names[owner], name), (owner, name)
    assert rules | {"_weigh", "add_decay", "run"} <= set(names)
    assert quoted >= {"_weigh", "add_decay", "run"}


def test_formulas_of_the_derivation_survive_markdown():
    r"""Between dollars GitHub reads Markdown first: of `\{` it leaves a brace that groups."""
    document = (ROOT / "docs" / "derivation.md").read_text(encoding="utf-8")
    assert "$$" not in document  # formulas of their own lines stand in ```math
    text = re.sub(r"^```.*?^```|\$`[^`]*`\$|`[^`]*`", "", document, flags=re.DOTALL | re.MULTILINE)
    formulas = re.findall(r"\$([^$]*)\$", text)
    assert len(formulas) > 150 and text.count("$") == 2 * len(formulas)
    assert [f for f in formulas if re.search(r"\\[^A-Za-z]|[*]|<\w|\]\(", f)] == []
