"""A fit that is killed and run again ends as one that was left alone, bit for bit."""

import gc
import inspect
import json
import os
import signal
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from forge import identical, pack, unpack
from injection import executed, raising
from own import classic
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from test_changed_parameters import CHANGES

from skbackprop import BackpropRegressor, ModelFileError, checkpoints, fit_many
from skbackprop.losses import LOSSES
from skbackprop.optimizers import OPTIMIZERS
from skbackprop.parameters import FULL_BATCH
from skbackprop.schedules import SCHEDULES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
rng = np.random.default_rng(0)
X = rng.standard_normal((90, 3))
y = np.exp(X[:, 0] - X[:, 1] * X[:, 2])
SMALL = {"hidden_layer_sizes": (5,), "max_iter": 14, "random_state": 0, "checkpoint_every": 3}
SETTINGS = {
    **{f"solver={name}": {"solver": name} for name in (*OPTIMIZERS, *FULL_BATCH)},
    **{f"loss={name}": {"loss": name} for name in LOSSES},
    **{f"rate={name}": {"learning_rate": name} for name in SCHEDULES},
    "momentum": {"solver": "sgd", "momentum": 0},
    "plateaus": {"learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1},
    "patience": {"tol": 0.05, "n_iter_no_change": 4},
    "early": {"early_stopping": True, "n_iter_no_change": 2, "learning_rate_init": 0.1},
    "score": {"early_stopping": True, "scoring": "neg_mean_absolute_error"},
    "best": {"max_time": 1000, "learning_rate_init": 0.3},
    "lbfgs early": {"solver": "lbfgs", "early_stopping": True, "n_iter_no_change": 3},
    "lbfgs few": {"solver": "lbfgs", "max_fun": 9},
    "lm early": {"solver": "lm", "early_stopping": True, "n_iter_no_change": 3},
    "lm few": {"solver": "lm", "max_fun": 9},
    "lm in float32": {"solver": "lm", "dtype": "float32"},
    "whole": {"max_iter": 6},
    "lbfgs whole": {"solver": "lbfgs", "max_iter": 6},
    "dropout": {"dropout": 0.3, "batch_size": 20},
    "no order": {"shuffle": False, "batch_size": 20},
    "diverges": {"learning_rate_init": 30.0, "solver": "sgd", "early_stopping": True},
    "linear": {"hidden_layer_sizes": (), "standardize": False, "fit_intercept": False},
    "float32": {"dtype": "float32", "random_state": 7},
}


class CutError(Exception):
    """In place of kill -9, which no test survives."""


def fit(path, cut_after=None, *, data=(X, y), **settings):
    """A fit with a checkpoint, cut short when that many have been written: None then."""
    model = classic(**{**SMALL, **settings}, checkpoint=path)
    written, save = 0, checkpoints.Checkpoint.save

    def counted(self, fitted, finished=False, told=""):
        nonlocal written
        save(self, fitted, finished, told)
        written += 1
        if written == cut_after:
            raise CutError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints.Checkpoint, "save", counted)
        try:
            return model.fit(*data)
        except CutError:
            assert not hasattr(model, "theta_")
            return None


def in_pieces(path, **settings):
    """The same, cut after every checkpoint."""
    for pieces in range(1, 100):
        model = fit(path, 1 if pieces % 3 else 2, **settings)
        if model is not None:
            return model, pieces
    raise AssertionError("no progress")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.skb"


@pytest.mark.parametrize("name", SETTINGS)
def test_a_fit_in_pieces_is_a_fit(path, tmp_path, name):
    model, pieces = in_pieces(path, **SETTINGS[name])
    undisturbed = fit(tmp_path / "other.skb", **SETTINGS[name])
    assert pieces >= 2
    assert path.read_bytes() == (tmp_path / "other.skb").read_bytes()
    for m, file in ((model, "a.skb"), (undisturbed, "b.skb")):
        m.save(tmp_path / file)
    assert (tmp_path / "a.skb").read_bytes() == (tmp_path / "b.skb").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.skb", "b.skb", "fit.skb", "other.skb"]
    for m in (model, undisturbed):  # and training goes on from there
        m.set_params(warm_start=True, checkpoint=None).fit(X, y)
    assert identical(vars(model), vars(undisturbed))


@pytest.mark.parametrize("name", [name for name in SETTINGS if "lbfgs" not in name])
def test_a_checkpoint_changes_nothing_that_is_learnt(path, name):
    model = fit(path, **SETTINGS[name])
    free = classic(**{**SMALL, **SETTINGS[name]}).fit(X, y)
    assert identical(vars(model.set_params(checkpoint=None)), vars(free))


def test_kinds_of_data(path, tmp_path):
    weight, Y = rng.uniform(0, 2, 90), np.c_[y, X[:, 0]]
    frame, rows = pd.DataFrame(X, columns=list("abc")), sparse.csr_matrix(X)
    kinds = [(X, y, weight), (frame, y), (rows, y), (X, Y), (X.astype(np.float32), y[:, None])]
    for k, data in enumerate(kinds):
        here = tmp_path / f"{k}.skb"
        model, _ = in_pieces(here, data=data)
        assert identical(
            vars(model), vars(fit(tmp_path / f"{k}", data=data)) | {"checkpoint": here}
        )


def test_own_validation_data(path):
    known = {"X_val": X[:20], "y_val": y[:20], "sample_weight_val": np.ones(20)}
    model = classic(**SMALL, checkpoint=path)
    model.fit(X, y, **known)
    model.fit(X, y, **known)
    with pytest.raises(ValueError, match=r"X_val was 20 x 3 float64 of CRC .* and is None"):
        model.fit(X, y)
    with pytest.raises(ValueError, match=r"y_val was 20 .* and is 20 "):
        model.fit(X, y, **known | {"y_val": y[1:21]})


# ----- kill -9 -------------------------------------------------------------------------

KILLS = """
import json, os, random, signal, sys, time, warnings
import numpy as np
from own import classic

folder, kills = sys.argv[1], int(sys.argv[2])
warnings.simplefilter("ignore")
X = np.random.default_rng(0).standard_normal((400, 4))
options = {"hidden_layer_sizes": (20,), "max_iter": 240, "random_state": 0, "checkpoint_every": 2,
           "early_stopping": True, "n_iter_no_change": np.inf, "tol": 0.0}

def script(name):
    model = classic(**options, checkpoint=os.path.join(folder, name))
    model.fit(X, X[:, 0] * X[:, 1]).save(os.path.join(folder, f"{name}.saved"))

def child(name):
    pid = os.fork()
    if not pid:
        try:
            script(name)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return pid

start = time.perf_counter()
assert os.waitpid(child("undisturbed"), 0)[1] == 0
duration = time.perf_counter() - start
random.seed(0)
killed = 0
for _ in range(10 * kills):
    if killed == kills or os.path.exists(os.path.join(folder, "killed.saved")):
        break
    pid = child("killed")
    time.sleep(random.uniform(0, 2.5) * duration / kills)
    os.kill(pid, signal.SIGKILL)
    killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
status = os.waitpid(child("killed"), 0)[1]
json.dump([killed, status], sys.stdout)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_twenty_kills_at_random_times(tmp_path):
    command = [sys.executable, "-c", KILLS, str(tmp_path), "20"]
    # A child must not need threads that its parent has started.
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OPENBLAS_NUM_THREADS": "1",
    }
    out = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert out.returncode == 0 and not out.stderr, out.stderr
    killed, status = json.loads(out.stdout)
    assert (killed, status) == (20, 0)
    for name in ("killed", "killed.saved"):
        undisturbed = tmp_path / name.replace("killed", "undisturbed")
        assert (tmp_path / name).read_bytes() == undisturbed.read_bytes()
    assert len(os.listdir(tmp_path)) == 4  # what was half written has gone


FILES = ("atomic", "checkpoints", "container", "persistence", "schema", "values")


# Between open and `with` a file is closed by nobody but Python itself, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_error_at_any_line_leaves_a_whole_file_to_go_on_from(path):
    """Beside the file nothing is left, and the fit that follows ends as if there had been none."""
    model = fit(path, max_iter=3, checkpoint_every=1)
    expected = path.read_bytes()

    def again():
        clone(model).fit(X, y)

    path.unlink()
    lines, first = executed(again), {}
    for k, execution in enumerate(lines):
        if os.path.basename(execution.code.co_filename)[:-3] in FILES:
            first.setdefault(execution.line, k)
    last = {execution.line: k for k, execution in enumerate(lines) if execution.line in first}
    left = {"nothing": 0, "a checkpoint": 0, "all": 0}
    for k, point in enumerate(sorted({*first.values(), *last.values()})):
        path.unlink(missing_ok=True)
        raising(again, lines[point], (KeyboardInterrupt, OSError)[k % 2]("injected"))
        assert os.listdir(path.parent) in ([], [path.name]), lines[point]
        if not path.exists():
            left["nothing"] += 1
            continue
        left["all" if path.read_bytes() == expected else "a checkpoint"] += 1
        BackpropRegressor.load(path)
        if k % 8 == 0:
            again()
            assert path.read_bytes() == expected
    assert min(left.values()) > 0 and sum(left.values()) > 300
    gc.collect()  # here, and not during another test


# ----- what is refused -------------------------------------------------------------------

LOOSE = {"verbose", "max_time", "checkpoint", "warm_start"}
# Of another value that a fit of the same data can have.
OTHER = {name: change.to for name, change in CHANGES.items()} | {
    "hidden_layer_sizes": (6,), "warm_start": None, "n_iter_no_change": 3, "max_fun": 77,
    "max_iter": 15, "standardize": "robust",
}  # fmt: skip


def test_the_table_of_other_values_is_whole():
    assert OTHER.keys() == inspect.signature(BackpropRegressor).parameters.keys()


@pytest.mark.parametrize("name", [name for name in OTHER if name not in LOOSE])
def test_another_parameter_is_refused_by_name(path, name):
    fit(path, 1)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"of another fit .*{name} was .* and is .*delete it"):
        fit(path, **{name: OTHER[name]})
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ((X[:-1], y[:-1]), "X was 90 x 3 float64 of CRC .* and is 89 x 3 .*y was 90 x 1"),
        ((X + 1e-12, y), "X was"),
        ((X.astype(np.float32), y), "X was 90 x 3 float64 .* float32"),
        ((sparse.csr_matrix(X), y), "X was .* and is sparse"),
        ((X, y[::-1]), "y was"),
        ((X, y, np.ones(90)), "sample_weight was None and is 90 "),
        ((pd.DataFrame(X, columns=list("abc")), y), "feature names was None and is 3"),
    ],
)
def test_other_data_is_refused_with_what_differs(path, data, match):
    fit(path, 1)
    with pytest.raises(ValueError, match=match):
        fit(path, data=data)


def test_verbose_and_max_time_may_be_others(path, tmp_path, capsys):
    fit(path, 2)
    capsys.readouterr()
    model = fit(path, verbose=True)
    assert capsys.readouterr().out.startswith("Epoch 7,")
    assert identical(model.theta_, fit(tmp_path / "other").theta_)


def test_other_files_are_refused(path):
    fit(path)
    classic(**SMALL).fit(X, y).save(path)
    with pytest.raises(ValueError, match="is a saved model and no checkpoint"):
        fit(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelFileError, match=r"fit\.skb"):
        fit(path)
    with pytest.raises(ValueError, match="warm_start=False"):
        fit(path, warm_start=True)
    with pytest.raises(ValueError, match="checkpoint"):
        fit_many([classic(checkpoint=path), classic()], X, y)


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"scoring": lambda model, X, y: 0.0, "early_stopping": True}, TypeError, "scoring="),
        ({"random_state": np.random}, TypeError, "random_state="),
        ({"learning_rate": lambda progress: 1.0}, TypeError, "learning_rate="),
    ],
)
def test_what_cannot_be_written_is_refused_before_training(path, params, error, match, capsys):
    with pytest.raises(error, match=match):
        fit(path, verbose=True, **params)
    assert not capsys.readouterr().out and not path.exists()


def test_no_folder_to_write_to_is_noticed_before_training(path, capsys, monkeypatch):
    with pytest.raises(FileNotFoundError):
        fit(path / "in" / "nothing", verbose=True)
    with pytest.raises(IsADirectoryError):
        fit(path.parent, verbose=True)
    (path.parent / "loop").symlink_to(path.parent / "loop")
    with pytest.raises(OSError, match="symbolic links"):
        fit(path.parent / "loop", verbose=True)

    def denied(*args, **kwargs):
        raise PermissionError("denied")

    monkeypatch.setattr("skbackprop.atomic.open", denied, raising=False)
    with pytest.raises(PermissionError, match="denied"):
        fit(path, verbose=True)
    assert not capsys.readouterr().out


def test_a_checkpoint_that_cannot_be_written_is_an_error_and_the_old_one_stays(path, monkeypatch):
    fit(path, 1)
    before = path.read_bytes()

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        fit(path)
    monkeypatch.undo()
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]
    assert fit(path) is not None


def test_a_checkpoint_beyond_max_iter_is_refused(path):
    fit(path, 1)
    header, numbers = unpack(path.read_bytes())
    header["fitted"]["n_iter_"] = 15
    path.write_bytes(pack(header, numbers))
    with pytest.raises(ModelFileError, match="more epochs than max_iter"):
        fit(path)


def test_a_refused_checkpoint_leaves_the_random_state_where_it_was(path):
    fit(path, 1, random_state=np.random.RandomState(3))
    state = np.random.RandomState(3)
    with pytest.raises(ValueError, match="alpha was"):
        fit(path, random_state=state, alpha=1.0)
    assert identical(state, np.random.RandomState(3))


def test_an_integer_is_the_same_parameter_as_its_float(path, tmp_path):
    settings = {"max_iter": 60, "tol": 0.02, "n_iter_no_change": 5}
    fit(path, 2, alpha=1, **settings)
    resumed = fit(path, alpha=1.0, **settings)
    assert resumed.n_iter_ == fit(tmp_path / "other", alpha=1, **settings).n_iter_ < 20


@pytest.mark.parametrize("unit", [1e-170, 1e200])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_any_unit_of_y(path, tmp_path, unit, solver):
    settings = {"solver": solver, "data": (X, y * unit)}
    model, _ = in_pieces(path, **settings)
    assert identical(model.theta_, fit(tmp_path / "other", **settings).theta_)


@pytest.mark.parametrize("factor", [3, 3.3, 3.6])
def test_what_has_exploded_is_measured_by_the_first_weights(path, tmp_path, factor):
    settings = {
        "solver": "sgd", "momentum": 0, "alpha": 90e4, "learning_rate": "one_cycle",
        "learning_rate_init": factor / 1e4, "max_iter": 30, "data": (X, X[:, 0] - X[:, 1]),
    }  # fmt: skip
    model, _ = in_pieces(path, **settings)
    other = fit(tmp_path / "other", **settings)
    assert identical(vars(model) | {"checkpoint": None}, vars(other) | {"checkpoint": None})


def test_a_fit_that_max_time_ended_goes_on(path, tmp_path):
    settings = {"max_iter": 300, "tol": 0, "n_iter_no_change": np.inf}
    short = fit(path, max_time=1e-3, **settings)
    assert short.n_iter_ < 300
    longer = fit(path, max_time=1000, **settings)
    assert longer.n_iter_ == 300
    assert identical(longer.theta_, fit(tmp_path / "other", max_time=1000, **settings).theta_)


# ----- the rest --------------------------------------------------------------------------


def test_a_fit_that_has_ended_returns_at_once_and_says_what_it_said(path, monkeypatch):
    with pytest.warns(ConvergenceWarning) as first:
        model = fit(path)
    monkeypatch.setattr("skbackprop.fitting.train", None)
    with pytest.warns(ConvergenceWarning) as second:
        again = fit(path)
    assert identical(vars(again), vars(model))
    assert [str(w.message) for w in first] == [str(w.message) for w in second]
    assert {w.filename for w in (*first, *second)} == {__file__}


def test_a_fit_that_is_refused_at_its_end_is_refused_again(path):
    settings = {"learning_rate_init": 1e6, "solver": "sgd", "clip_norm": 1.0, "tol": 0}
    for _ in range(2):
        with pytest.raises(ValueError, match="diverged"):
            fit(path, **settings)


def test_a_random_state_stands_afterwards_where_an_undisturbed_fit_leaves_it(path, tmp_path):
    states = [np.random.RandomState(3) for _ in range(3)]
    fit(path, 1, random_state=states[0])
    model = fit(path, random_state=states[1])
    other = fit(tmp_path / "other", random_state=states[2])
    assert identical(model.theta_, other.theta_) and identical(states[1], states[2])
    with pytest.raises(ValueError, match="random_state was RandomState"):
        fit(path, random_state=np.random.RandomState(4))


def test_without_a_seed_the_random_numbers_of_the_file_go_on(path):
    model, pieces = in_pieces(path, random_state=None)
    assert pieces >= 2 and model.n_iter_ == 14


def test_an_interrupt_keeps_the_checkpoint(path, tmp_path, monkeypatch):
    class Interrupts:
        epochs = 0

        def __call__(self, *args):
            self.epochs += 1
            if self.epochs == 8:
                raise KeyboardInterrupt

    from skbackprop.monitoring import Watch

    monkeypatch.setattr(Watch, "_print", Interrupts())
    model = classic(**SMALL, checkpoint=path, verbose=True)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.n_iter_ == 8 and BackpropRegressor.load(path).n_iter_ == 6
    monkeypatch.undo()
    assert identical(model.fit(X, y).theta_, fit(tmp_path / "other").theta_)


def test_an_unfinished_checkpoint_is_a_model(path):
    fit(path, 1)
    model = BackpropRegressor.load(path)
    assert model.n_iter_ == 3 and model.checkpoint is None and len(model.loss_curve_) == 3
    assert np.isfinite(model.partial_fit(X, y).predict(X)).all()
    assert model.set_params(warm_start=True).fit(X, y).n_iter_ == 14


def test_partial_fit_does_not_look_at_it(path):
    classic(**SMALL, checkpoint=path).partial_fit(X, y)
    assert not path.exists()


def test_folds_are_other_data(path):
    model = classic(**SMALL, checkpoint=str(path))
    assert clone(model).checkpoint == str(path)
    with pytest.raises(ValueError, match="of another fit"):
        cross_val_score(model, X, y, cv=3, error_score="raise")


def test_a_relative_path_is_of_the_folder_at_that_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit("fit.skb", 1)
    assert (tmp_path / "fit.skb").exists()


SCRIPT = """
import sys
from sklearn.datasets import load_diabetes
from own import classic
X, y = load_diabetes(return_X_y=True)
model = classic(max_iter=100000, tol=0, n_iter_no_change=100000, random_state=0,
                          checkpoint=sys.argv[1], checkpoint_every=1, verbose=True)
model.fit(X, y)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_a_script_that_is_killed_goes_on(path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    last = 0
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-u", "-c", SCRIPT, path],
            env=environment, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            epochs = [int(process.stdout.readline().split()[1][:-1]) for _ in range(5)]
            process.send_signal(signal.SIGKILL)
        assert epochs == list(range(epochs[0], epochs[0] + 5)) and epochs[0] > last
        last = epochs[0]
        assert BackpropRegressor.load(path).n_iter_ >= epochs[-1] - 1
