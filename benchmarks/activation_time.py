"""Time of a step with every activation, beside relu's and the cost of its own function.

The last column, the share, is the step divided by the sum of 1.3 times relu's step and one
evaluation of the activation's transcendental function on as many pre-activations: at most 1
means that the rest of an activation costs little. (relu itself has 1 / 1.3.)
"""

import warnings
from time import perf_counter

import numpy as np
from race import command_line, smallest_times
from scipy.special import expit, ndtr
from sklearn.exceptions import ConvergenceWarning
from step_time import BATCHES, estimator_fit

from skbackprop import BackpropRegressor
from skbackprop.activations import ACTIVATIONS

SIZES, ROWS, EPOCHS = (20, 100, 100, 1), 200, 30
FUNCTIONS = {  # the costly part of g; the others have none
    "logistic": expit,
    "tanh": np.tanh,
    "elu": np.expm1,
    "selu": np.expm1,
    "gelu": ndtr,
    "silu": expit,
    "mish": lambda z: np.tanh(np.log1p(np.exp(z))),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "exp": np.exp,
}


def function_time(function, dtype):
    # Of variance 2, as the first weights make them for inputs of variance 1.
    shape = ROWS, sum(SIZES[1:-1])
    Z = np.random.default_rng(0).normal(0, 2**0.5, shape).astype(dtype)

    def run():
        start = perf_counter()
        function(Z)
        return perf_counter() - start

    return run


def main():
    options = command_line(__doc__)
    warnings.simplefilter("ignore", ConvergenceWarning)
    for dtype in ("float64", "float32"):
        fits = {
            name: estimator_fit(
                # A small learning rate: exp on exp must stay finite.
                BackpropRegressor, SIZES, ROWS, dtype, activation=name, learning_rate_init=1e-6,
            )
            for name in ACTIVATIONS
        }  # fmt: skip
        runs = {(g, n): lambda f=f, n=n: f(n) for g, f in fits.items() for n in (1, 1 + EPOCHS)}
        runs |= {g: function_time(f, dtype) for g, f in FUNCTIONS.items()}
        times = smallest_times(runs, options.rounds)
        step = {g: (times[g, 1 + EPOCHS] - times[g, 1]) / (EPOCHS * BATCHES) for g in fits}
        print(
            f"{'-'.join(map(str, SIZES))}, {ROWS} rows, {dtype}: step, function alone (µs), share"
        )
        for g, seconds in step.items():
            function = times.get(g, 0.0)
            ratio = seconds / (1.3 * step["relu"] + function)
            print(f"   {g:12s} {seconds * 1e6:8.1f} {function * 1e6:8.1f}   {ratio:5.2f}")


if __name__ == "__main__":
    main()
