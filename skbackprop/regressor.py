"""BackpropRegressor: scikit-learn's contract around the network."""

import copy
import inspect
import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from . import __version__, outcome, parameters, scoring
from .callbacks import FRAMES, CallbackSupportMixin, EpochTasks, has_callbacks, with_callbacks
from .conformal import interval
from .export import to_mlp_regressor
from .model import model_of
from .quiet import quietly
from .scaling import check_complete
from .tables import (
    checked_inputs,
    checked_table,
    checked_validation_table,
    checked_weights,
    is_plain,
    table_attributes,
)

VERSION = "_skbackprop_version"  # in a pickle


class BackpropRegressor(CallbackSupportMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Neural-network regressor: a multi-layer perceptron trained by backpropagation.

    The network of L layers on a table X of n rows,

        A[0] = X,   Z[l] = A[l-1] W[l] + 1 b[l],   A[l] = g[l](Z[l]),   l = 1 … L,

    is trained to minimise the mean of a loss ℓ over the rows, weighted by sample_weight s,
    plus a penalty on the weights:

        f = Σᵢ sᵢ Σₖ ℓ(aᵢₖ, yᵢₖ) / Σᵢ sᵢ  +  alpha / (2 Σᵢ sᵢ) Σₗ ‖W[l]‖²_F.

    With the default loss the first term is 1/n ‖A[L] - Y‖²_F. X and y are standardised
    inside (see `standardize`), so that neither needs a scaler, and predictions, losses
    and fitted weights are in the units of the caller.

    The defaults are for accuracy: five or eight small networks are trained at once, each without a
    share of the rows, on which the best epoch of all is chosen, and their mean predicts. Each of
    these parts is a parameter. The plain network of textbooks is
    ``BackpropRegressor(hidden_layer_sizes=(k,), solver="sgd", learning_rate="constant",
    standardize=False)``: of raw numbers one network learns, from all rows, at one rate.

    It is a drop-in for :class:`sklearn.neural_network.MLPRegressor`: the parameters and
    fitted attributes of that class have the same names, order and meaning here. Where
    the meaning differs, the parameter says so.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "log_cosh", "quantile", \
"poisson", "gamma"} or object, default="squared_error"
        ℓ, or an object with ``value(A, Y, weight)`` and ``derivative(A, Y, weight, out)``
        (see :mod:`skbackprop.losses`). With several outputs losses are summed over
        them. "squared_error" is (a - y)² without a factor ½, so that an `alpha` of
        MLPRegressor corresponds to twice that value here.

    hidden_layer_sizes : int, sequence of int, array or str, default=(64, 64)
        Units of every hidden layer. ``"64-32"`` is ``(64, 32)``: a value that random
        and Bayesian searches can vary. ``()`` or ``""`` is a linear model. More than there
        is memory for is refused before any of it is taken.

    activation : {"identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "selu", \
"gelu", "silu", "mish", "softplus", "exp"}, object or list, default="mish"
        g[l] of the hidden layers; one for all of them or a list with one for each. An
        object has ``value(Z, out)`` and ``derivative(Z, A, out)`` (see
        :mod:`skbackprop.activations`).

    solver : {"adam", "sgd", "adamw", "rmsprop", "lbfgs", "lm"} or object, default="adam"
        "sgd" with ``momentum=0`` and ``batch_size=n`` is plain gradient descent. "adamw"
        applies `alpha` outside the gradient's moments. "lbfgs" goes through all rows at
        every step; it is often the best choice below a few thousand rows. "lm"
        (Levenberg-Marquardt) does so too, and takes far fewer steps, each of which solves a
        system of as many equations as there are weights: for ``loss="squared_error"`` and
        at most 4,096 weights. An object has
        ``init(theta)`` and ``step(theta, gradient, learning_rate, state)`` (see
        :mod:`skbackprop.optimizers`).

    alpha : float, default=0.0001
        Strength of the L2 penalty, as in the formula above: on weights, never on
        biases, and the same for every solver and batch size. (MLPRegressor divides it
        by the rows of a batch and not of the table.) The penalty is on the weights of
        the standardised network and relative to the standardised loss.

    batch_size : int or "auto", default="auto"
        The most rows of a mini-batch; "auto" is 64 up to 2,000 rows, 128 up to 10,000, 256 up
        to 50,000, 512 up to 200,000 and else 1,024. The batches of an
        epoch differ by one row at most. Not used by "lbfgs" and "lm".

    learning_rate : {"constant", "invscaling", "adaptive", "cosine", "one_cycle", \
"coslog4", "auto"} or callable, default="auto"
        How the learning rate changes, for every mini-batch solver: not at all; as
        ``1 / (rows seen + 1)**power_t``; divided by 5 whenever training stalls; or
        planned over `max_iter` epochs, all of which are then run. "coslog4" has four cycles,
        each twice as long as the last; with `early_stopping`, one that comes no nearer than
        3 % to the best epoch before it is the last. "auto" is "coslog4" for `fit` and "constant"
        for `partial_fit`. A callable takes the progress, from 0 to 1, and returns a factor for
        `learning_rate_init`.

    learning_rate_init : float, default=0.005
        Learning rate of the mini-batch solvers; with `parametrization="neural_tangent"` that
        of a weight behind 64 units.

    power_t : float, default=0.5
        Exponent of "invscaling".

    max_iter : int or "auto", default="auto"
        The most epochs (passes over the rows); for "lbfgs" and "lm", iterations. "auto" is 200,
        and for a planned schedule 224 up to 2,000 rows, 128 up to 50,000, 64 up to 200,000, and
        then fewer and fewer, at least 16.

    shuffle : bool, default=True
        Whether to draw a new order of the rows for every epoch.

    random_state : int, RandomState instance or None, default=None
        Seed of the first weights, the order of the rows, the validation rows and
        dropout. None for one from the operating system, whatever numpy.random.seed says.
        It counts where a network is started; `warm_start` and `partial_fit` go on with the
        random numbers where they stand, and a seed that has been changed says nothing to them.

    tol : float, default=1e-4
        An epoch is an improvement if it lowers the loss (of training, or of validation
        with `early_stopping`) by at least `tol`, on the scale of the standardised loss,
        or raises the score by that much. For "lbfgs" and "lm", the largest component
        of the gradient at which they have converged.

    verbose : bool or int, default=False
        Whether to print a line an epoch, for every solver.

    warm_start : bool, default=False
        Whether `fit` goes on from the last one, optimizer and random numbers included:
        20 epochs and 20 more are 40, bit for bit. ("lbfgs" and "lm" keep the weights
        and learn the curvature or the damping anew. A schedule that is planned over max_iter
        starts anew.) A change of data is welcome, and so is one of a parameter, which counts
        from then on; but one of `loss`, `hidden_layer_sizes`, `activation`,
        `output_activation`, `solver`, `fit_intercept`, `standardize` or `dtype` is refused.

    momentum : float, default=0.9
        Momentum of "sgd", between 0 and 1.

    nesterovs_momentum : bool, default=True
        Whether that is Nesterov's momentum.

    early_stopping : bool or "auto", default="auto"
        Whether to restore the weights of the epoch with the least loss on validation rows, and
        to stop when that has not improved for `n_iter_no_change` epochs, or for a cycle of
        a planned schedule. Of several networks each has a fold of the rows for validation,
        which it does not learn from, and all have one best epoch. "auto" does so from 50 rows
        on, and not with "lbfgs", "lm" and ``standardize=False``.

    validation_fraction : float, default=0.1
        Share of the rows kept for validation by a single network, unless `fit` is given
        validation data.

    beta_1, beta_2 : float, default=0.9, 0.95
        Decay of the first and second moment of "adam" and "adamw". That of the second is 0.999
        in most software; with a rate that ends near 0, 0.95 is better.

    epsilon : float, default=1e-8
        Keeps the divisions of "adam", "adamw" and "rmsprop" finite.

    n_iter_no_change : int or inf, default=10
        Epochs without an improvement after which training stops; not looked at by a schedule
        that is planned over `max_iter`.

    max_fun : int, default=15000
        The most evaluations of the objective by "lbfgs"; of "lm", steps that are tried.

    output_activation : str, object or None, default=None
        g[L]; None for what the loss asks for: "exp" for "poisson" and "gamma", else
        "identity". "logistic" keeps predictions between 0 and 1, "softplus" or "exp"
        above 0.

    fit_intercept : bool, default=True
        False for a network without biases; X and y are then scaled but not centred.

    standardize : {"auto", "robust"} or bool, default="auto"
        Whether X and y are standardised inside. True takes weighted means and standard
        deviations of the training rows. "robust" takes the median and the interquartile range
        of X, and bounds what comes of them, z, by z / √(1 + (z/3)²), so that a cell far from all
        others is never far from them inside; of a sparse X, and without intercepts, it is True.
        "auto" is "robust", but True without hidden layers: that model is linear in X. Without
        standardisation a value that is missing has no mean to stand for it: NaN is refused.
        y is shifted and scaled for an identity output, scaled for one with a lower bound of 0 and
        for losses that a shift would change ("poisson", "gamma"), left alone for others and for
        a loss of your own. Of several outputs each is scaled by itself, so that the loss counts
        every one in proportion to its variance's inverse.

    dropout : float, default=0.0
        Share of the hidden units left out of a training step (inverted dropout).

    clip_norm : float or None, default=None
        The largest norm of a step's gradient; a longer one is shortened to it.

    quantile : float, default=0.5
        The quantile of ``loss="quantile"``.

    dtype : {"float32", "float64"} or None, default=None
        Type of the weights and the arithmetic; None for that of X.

    scoring : str, callable or None, default=None
        What `early_stopping` watches: None or "loss" for the validation loss, else a
        scorer, larger being better.

    max_time : float or None, default=None
        Seconds after which training stops, with the best weights so far. Of it
        "auto" for `n_bins` takes up to a half.

    checkpoint : str, os.PathLike or None, default=None
        A file that keeps the state of `fit`. A fit that is killed and run again, with the same
        data and parameters, goes on from the file and ends as if it had not been killed, bit for
        bit; one that had ended returns at once, unless `max_time` ended it: it goes on then. A
        file of other data or parameters is refused with what differs (`verbose` and `max_time`
        may). It is a saved model too, that :meth:`load` opens. `partial_fit` does not look at
        it. The path is not saved with a model.

    checkpoint_every : int, default=10
        Epochs between two writings of the checkpoint. "lbfgs" learns the curvature
        anew at each, so that its results depend on this number.

    n_networks : int or "auto", default="auto"
        Networks that are trained at once, as one stack of arrays, and whose mean predicts. "auto"
        is 8 up to 2,000 rows, 5 up to 200,000, and 1 for more, for "lbfgs" and "lm", which train
        one alone, for a network that `partial_fit` begins, and with ``standardize=False``.

    n_bins : int or "auto", default="auto"
        With ``standardize="robust"``, bins of every feature between its quantiles, along each
        of which a further input rises from -1 to 1: what jumps with a feature is then learnt
        as easily as what is smooth (:mod:`skbackprop.encoding`). 0 for no such inputs; "auto" for
        0 or 16, whichever a short training on up to 10,000 rows does better with. It is done in
        every fit of a search anew, and of a short fit it is most of the time.

    parametrization : {"auto", "neural_tangent", "standard"}, default="auto"
        How weights begin, and at what rates they learn. "standard": W[l] from the uniform
        distribution that suits g[l], b[l] = 0, and one rate. "neural_tangent": W[l] from
        N(0, 1/n[l-1]), b[l] from N(0, 1), W[L] = b[L] = 0, and rates in proportion to
        1/√n[l-1], which change all layers alike; and every input has a scale that is learnt too
        (:meth:`skbackprop.network.Network.rates`). "auto" is "neural_tangent", but "standard" with
        ``standardize=False``.

    Attributes
    ----------
    coefs_ : list of ndarray
        Weights of every layer in the caller's units: the network with these weights
        predicts y from raw X, or from A[0] where X is bounded or has categories or missing
        values (see Notes). Several networks are one here, their layers side by side; with another
        output activation than the identity their mean is no network, and this an AttributeError.
        (For an output activation that cannot absorb a factor, predictions are `y_scale_` times
        what they give, plus `y_shift_` if there is one.)
    intercepts_ : list of ndarray
        Biases that go with them.
    loss_ : float
        Loss of the last epoch, penalty included, in the caller's units. Of several
        outputs that are standardised it is not the sum of their losses: each is taken in
        units of its `y_scale_`, and the sum multiplied by the mean of ``y_scale_**d``
        (d = 2 for squared errors). That is the function which training minimises.
    best_loss_ : float or None
        Smallest training loss; None with `early_stopping`.
    loss_curve_ : list of float
        Loss of every epoch; of `partial_fit`, of the last 1,000 calls.
    validation_loss_curve_ : list of float or None
        Loss on the validation rows, without the penalty; None without such rows.
    validation_scores_ : list of float or None
        R² on the validation rows, or the score of `scoring`.
    best_validation_score_ : float or None
        The largest of them.
    n_iter_ : int
        Epochs of the last `fit`, and the `partial_fit` calls since then.
    t_ : int
        Rows that training has seen.
    n_layers_ : int
        Layers, those of inputs and outputs included.
    n_outputs_ : int
        Columns of y.
    out_activation_ : str or object
        Output activation.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of str
        Their names, if X has names that are all strings.
    categories_ : list of (ndarray or None), or None
        Of every feature the sorted levels, of `object` for text; None for one of numbers, and
        in place of the list if all are. Inside, a category is the number of its level.
    theta_ : ndarray
        All weights of the standardised network: layer by layer the biases, then the rows of
        the weight matrix, of several networks one after the other; before them the scales of the
        inputs.
    layer_sizes_, activations_, fit_intercept_ : list, list, bool
        The network that was fitted. The first size is that of A[0]: the features but for
        categories, their bins, the columns for levels, and those for missing values.
    n_networks_ : int
        How many of them.
    input_scale_ : bool
        Whether `theta_` has a scale for every input.
    error_quantiles_ : ndarray of shape (201, n_outputs) or None
        Quantiles 0, 0.005, …, 1 of y less its prediction for validation rows.
    n_validation_ : int
        How many rows.
    bin_columns_, bin_middles_, bin_halves_ : ndarray or None
        Of every bin the feature, the middle, and half its width, in units of `X_scale_`. None
        where X is not bounded.
    level_columns_, level_codes_, level_others_ : ndarray of int or None
        Of every column for a level the feature, the number of the level for which it is 1, and
        of the one for which it is -1, or -2.
    missing_columns_ : ndarray of int or None
        Features with a column that is 1 where they are missing.
    X_shift_, X_scale_, y_shift_, y_scale_ : ndarray or None
        The network sees ``(X - X_shift_) / X_scale_`` and predicts
        ``(y - y_shift_) / y_scale_``. None changes nothing.

    See Also
    --------
    sklearn.neural_network.MLPRegressor : scikit-learn's multi-layer perceptron.

    Notes
    -----
    With early stopping, loss and score are judged on rows that training does not see,
    the scaling included. A row of weight 0 is as good as absent.

    A category of two levels is one input of the network, 1 and -1, and one of more an input for
    every level, 0 or 1. One for a level that no row of weight above 0 has is not there: such a
    level, and one that `fit` has not seen, is zeros in those of the feature. A missing value is
    replaced by the mean, or the median (0 without intercepts), and has an input that is 1 where
    the feature is missing, if a row of weight above 0 has such a value. These inputs are made a
    batch at a time.

    References
    ----------
    Formulas and default values are from the papers named in :mod:`skbackprop.losses`,
    :mod:`skbackprop.optimizers`, :mod:`skbackprop.schedules`,
    :mod:`skbackprop.activations` and :mod:`skbackprop.network`; the derivation is in
    ``docs/derivation.md``.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from skbackprop import BackpropRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> model = BackpropRegressor(random_state=0)
    >>> model.fit(X_train, y_train).score(X_test, y_test) > 0.25
    True
    >>> model.predict_interval(X_test, coverage=0.9).shape
    (111, 2)
    """

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(64, 64),
        activation="mish",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="auto",
        learning_rate_init=0.005,
        power_t=0.5,
        max_iter="auto",
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping="auto",
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.95,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        output_activation=None,
        fit_intercept=True,
        standardize="auto",
        dropout=0.0,
        clip_norm=None,
        quantile=0.5,
        dtype=None,
        scoring=None,
        max_time=None,
        checkpoint=None,
        checkpoint_every=10,
        n_networks="auto",
        n_bins="auto",
        parametrization="auto",
    ):
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.output_activation = output_activation
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.dropout = dropout
        self.clip_norm = clip_norm
        self.quantile = quantile
        self.dtype = dtype
        self.scoring = scoring
        self.max_time = max_time
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.n_networks = n_networks
        self.n_bins = n_bins
        self.parametrization = parametrization

    @with_callbacks
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train the network.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Inputs; float32 stays float32. A sparse matrix is made dense a batch at a
            time. Columns of text and of categories in a data frame of pandas or polars (of the
            dtypes object, str and string, category, Arrow's; String, Categorical, Enum) are
            categories; bools and numbers are numbers, and so are objects without text. NaN, None
            and NA are missing values, but in a sparse matrix and with ``standardize=False``, where
            NaN is refused: see Notes.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0. A weight of 2 counts as two rows.
        X_val, y_val, sample_weight_val : array-like, default=None
            Rows to validate on, in place of a share of the training rows. Without
            `early_stopping` their loss and score are recorded and nothing else.

        Returns
        -------
        self : BackpropRegressor
            The fitted estimator.

        Raises
        ------
        KeyboardInterrupt
            As it came (Ctrl-C). The estimator is fitted with the weights of the best epoch so
            far, or as it was if none has ended. A checkpoint stays, and the next fit goes on
            from it.
        ValueError, TypeError
            For a training that diverged and has nothing better than the mean of y to show, and
            for a parameter or data that cannot be used; the message names it. Among data
            that are refused are cells that are masked, dates, and complex numbers; and a
            network for which there is no memory. And for a checkpoint of another fit; a
            ModelFileError for one that is damaged. The estimator is then as it was before the
            call.
        OSError
            If the checkpoint cannot be written or read.

        Warns
        -----
        ConvergenceWarning
            If training ended at `max_iter` or `max_time`, diverged and fell back to earlier
            weights, or left a model that is worse than predicting the mean of y.
        """
        fitting, about, table, scorer = self._prepare(
            X, y, sample_weight, (X_val, y_val, sample_weight_val)
        )
        checkpoint, keep = fitting.checkpoint, None
        if checkpoint is not None:
            if checkpoint.finished:
                self._tell(checkpoint.told, stacklevel=3 + FRAMES)
                return self._commit(fitting.previous | about)

            def keep():
                checkpoint.save(fitting.attributes() | about)

        tasks = self._tasks(fitting, about, table, X)
        try:
            fitting.run(scorer, tasks, keep)
        except KeyboardInterrupt:
            best = fitting.so_far()
            if best is not None:
                self._commit(best | about)
            raise
        told = outcome.verdict(self, fitting)
        fitted = fitting.attributes() | about
        if checkpoint is not None and fitting.reason != "time":  # of which there may be more
            checkpoint.save(fitted, finished=True, told=told)
        self._tell(told, stacklevel=3 + FRAMES)
        if tasks is not None:
            tasks.close(fitted)
        return self._commit(fitted)

    @quietly  # what overflows is looked for and not warned of
    def _prepare(
        self,
        X,
        y,
        sample_weight=None,
        validation=(None, None, None),
        *,
        rows=None,
        validated=None,
        one_pass=False,
    ):
        """A fit that is ready to run, what describes its table, the table, and its scorer.

        `validated` is the table and what describes it, where another model has looked at it.
        """
        # Imported here: whoever only predicts does without, for a third of our part of the import.
        from .fitting import Fitting

        params, scratch = self._checked(), copy.copy(self)
        goes_on = (one_pass or params["warm_start"]) and hasattr(self, "theta_")
        previous = vars(self) if goes_on else None
        if validated is None or previous is not None:
            table, ndim = checked_table(scratch, X, y, sample_weight, reset=previous is None)
            validated = table, table_attributes(scratch, ndim)
        table, about = validated
        validation = checked_validation_table(scratch, *validation, table)
        checkpoint = found = None
        if params["checkpoint"] is not None and not one_pass:
            checkpoint = self._checkpoint(table, validation, about)
            found = checkpoint.found()
        fitting = Fitting(
            params,
            table,
            validation=validation,
            previous=previous if found is None else found,
            resumed=found is not None,
            checkpoint=checkpoint,
            rows=rows,
            one_pass=one_pass,
            categories=about["categories_"],
        )
        return fitting, about, table, scoring.scorer(self, fitting, about, table, validation)

    def _checkpoint(self, table, validation, about):
        from .checkpoints import Checkpoint  # and with it the writing and reading of files

        _check_constructor(type(self))
        if self.warm_start:
            raise ValueError(
                "checkpoint needs warm_start=False: a fit that finds its checkpoint goes on from it"
            )
        params = {name: getattr(self, name) for name in DEFAULTS}
        names, categories = about.get("feature_names_in_"), about["categories_"]
        return Checkpoint(params, table, validation, names, categories)

    @available_if(lambda self: self._has_partial_fit())
    def partial_fit(self, X, y, sample_weight=None):
        """Train for one pass over the given rows.

        The first call, or `fit`, settles the network, its scaling and its first
        weights; later ones go on from there, each with an order of the rows of its own.
        A column that is constant in the first call is scaled by its size: begin with rows
        that look like the rest. A schedule that is planned over `max_iter` counts a call as
        one of its passes, and warns when it has ended. `max_time` is not looked at.
        Nothing is kept for validation, whatever `early_stopping` says: a stream has no
        end to restore a best epoch at.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Inputs, as in `fit`. The first call settles the levels of categories, and for which
            features an input says that they are missing.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, comparable from call to call: each is divided by the
            mean weight of all rows so far.

        Returns
        -------
        self : BackpropRegressor
            The estimator, trained further.

        Raises
        ------
        ValueError, TypeError
            As in `fit`, and for a parameter of the architecture that has been changed.
        """
        fitting, about, *_ = self._prepare(X, y, sample_weight, one_pass=True)
        fitting.run()
        return self._commit(self._finish(fitting, stacklevel=3) | about)

    @quietly  # once for all of it: overflow is looked for in the result
    def predict(self, X, return_std=False):
        """A[L], the network's prediction for every row of X; of several networks the mean.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Inputs, taken block by block: memory does not grow with the rows. A data frame where
            `fit` was given categories; a level that it did not see is none of them.
        return_std : bool, default=False
            Whether to return the standard deviation between the networks too: how far they
            disagree, which says where there were few rows like this one. It says nothing of the
            noise of y; see :meth:`predict_interval`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, shaped as the y of `fit` and of the weights' type (float64 where
            float32 does not hold y's units). Finite for every finite X: what would be beyond
            the largest number is that number, and whatever is missing.
        std : ndarray of the shape of y
            With `return_std` alone. NaN or infinite in rows that overflow inside the network.

        Raises
        ------
        ValueError
            If `return_std` is asked of a single network.
        """
        fitted, X = self._fitted_and_inputs(X)
        model = model_of(fitted)
        whole = (slice(None), 0) if fitted["_y_ndim"] == 1 else slice(None)
        if not return_std:
            return model.predict(X)[whole]
        if model.n_networks == 1:
            raise ValueError("return_std=True needs n_networks of 2 or more; this model has one")
        return model.predict(X)[whole], model.spread(X)[whole]

    @quietly
    def predict_interval(self, X, coverage=0.9):
        """ŷ + quantiles of the errors on rows that were not learnt from: where y will be.

        A split-conformal interval: with the errors e = y - ŷ of the validation rows it reaches
        from their quantile (1 - coverage)/2 to that of (1 + coverage)/2, a row more counted at
        either end. Of rows like those of `fit` that share is covered, whatever the distribution of
        the errors; the width is the same for every row. Of several networks the errors are those
        of all rows, each predicted by the network that did not learn from it, and narrowed to
        what the mean of the networks has (:func:`skbackprop.conformal.errors_of_the_mean`). Of
        these the coverage is not proved but measured: of test sets of public tables 86 to 95 % of
        the rows for a coverage of 90 %, on average 92 (``docs/accuracy.md``).

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Inputs.
        coverage : float, default=0.9
            Share of the rows whose y is to be within, between 0 and 1.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2)
            Lower and upper ends.

        Raises
        ------
        ValueError
            If the fit had no validation rows, or too few for that coverage, or for one above 0.99.

        References
        ----------
        Lei et al. 2018, Distribution-free predictive inference for regression, section 2.2;
        Barber et al. 2021, Predictive inference with the jackknife+, for the folds.
        """
        parameters.check("coverage", coverage, parameters.SHARE)
        fitted, X = self._fitted_and_inputs(X)
        table = fitted["error_quantiles_"]
        if table is None:
            raise ValueError(
                "predict_interval needs the errors on validation rows, which fit keeps with "
                "early_stopping=True or X_val ('auto' is True from 50 rows on, but for lbfgs, lm "
                "and standardize=False)"
            )
        y = model_of(fitted).predict(X)
        low, high = interval(table, fitted["n_validation_"], coverage)
        ends = np.stack([y + low, y + high], axis=-1)
        return ends[:, 0] if fitted["_y_ndim"] == 1 else ends

    def _fitted_and_inputs(self, X):
        """What is fitted, and X checked against it."""
        fitted = vars(self).copy()  # one look at the state, whatever a refit does meanwhile
        if not is_plain(X, fitted):
            state = copy.copy(self)
            state.__dict__ = fitted  # a refit may have changed self since
            check_is_fitted(state)
            X = checked_inputs(state, X)
            if fitted["X_scale_"] is None:
                check_complete(X)
        return fitted, X

    @quietly
    def predict_gradient(self, X):
        """dy/dX, the derivative of every prediction by every feature, in the units of both.

        Exact, by the rules that training uses: y_scale (dA[L]/dA[0]) / X_scale. Where relu or
        another activation has a kink it is the slope of the piece that the row is on. By a
        category there is no derivative, nor by a value that is missing: NaN.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Inputs, taken block by block.

        Returns
        -------
        gradient : ndarray of shape (n_samples, n_features) or \
(n_samples, n_features, n_outputs)
            Units of y for a unit of the feature, of the predictions' type (float64 where float32
            does not hold those units). NaN in rows that overflow inside the network.

        Examples
        --------
        >>> import numpy as np
        >>> from skbackprop import BackpropRegressor
        >>> X = np.linspace(-3, 3, 200)[:, None]
        >>> model = BackpropRegressor(
        ...     hidden_layer_sizes=(20,), activation="tanh", solver="lm", alpha=0, tol=1e-5,
        ...     random_state=0,
        ... ).fit(X, np.sin(X[:, 0]))
        >>> model.predict_gradient([[0.0], [1.0]])[:, 0].round(1)  # the cosine
        array([1. , 0.5])
        """
        from .derivatives import predict_gradient  # imported by those who ask for derivatives

        fitted, X = self._fitted_and_inputs(X)
        gradient = predict_gradient(model_of(fitted), X)
        return gradient[..., 0] if fitted["_y_ndim"] == 1 else gradient

    @quietly
    def predict_hessian(self, X):
        """d²y/dX², the second derivatives of every prediction, in the units of both.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Inputs, taken block by block.

        Returns
        -------
        hessian : ndarray of shape (n_samples, n_features, n_features) or \
(n_samples, n_features, n_features, n_outputs)
            A symmetric matrix for every row and output; type and NaN as in `predict_gradient`.

        Raises
        ------
        ValueError
            If an activation has no second derivative, as relu, leaky_relu, elu and selu have
            none at 0, nor an object without ``second_derivative(Z, A)``; the message names it.
        """
        from .derivatives import predict_hessian

        fitted, X = self._fitted_and_inputs(X)
        hessian = predict_hessian(model_of(fitted), X)
        return hessian[..., 0] if fitted["_y_ndim"] == 1 else hessian

    @quietly
    def marginal_effects(self, X, sample_weight=None):
        """Average marginal effects: the (weighted) means of dy/dX over the rows of X.

        What linear regression has coefficients for: by how much the prediction changes for a
        unit of a feature, the others held, on average over the rows. For a feature of two values
        it is still the derivative, and not the difference between the two. A row in which the
        feature is missing is left out of its means; of a category there are none: NaN.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Inputs, taken block by block.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        table : dict
            A row for every feature (of several outputs, for every output and feature), to be
            printed, or for ``pandas.DataFrame(table)``. Its columns are arrays:

            - "feature": the name, of `feature_names_in_`, or x0, x1, …;
            - "output": its number, if y has several columns;
            - "effect": the mean of dy/dx;
            - "std": the standard deviation of dy/dx over the rows, 0 for a linear model. (It is
              not a standard error: it says nothing of other samples.)
            - "elasticity": the mean of dy/dx · x / y, per cent of y for a per cent of x; NaN if
              the prediction y of a row is 0, where it is not defined.

        Examples
        --------
        >>> import numpy as np
        >>> from skbackprop import BackpropRegressor
        >>> X = np.random.default_rng(0).uniform(1, 2, (100, 2))
        >>> model = BackpropRegressor(hidden_layer_sizes=(), solver="lm", alpha=0)
        >>> model.fit(X, 3 * X[:, 0] - X[:, 1] + 5).marginal_effects(X)["effect"].round(3)
        array([ 3., -1.])
        """
        from .effects import marginal_effects

        fitted, X = self._fitted_and_inputs(X)
        weight = checked_weights(sample_weight, X.shape[0])
        names = fitted.get("feature_names_in_", [f"x{j}" for j in range(X.shape[1])])
        return marginal_effects(model_of(fitted), X, weight, names)

    def save(self, path):
        """Write the fitted regressor to one file: numbers and names, no pickle, no code.

        The file has all parameters and fitted attributes, and what training needs to go on,
        bit for bit; not the callbacks, nor what was requested of metadata. The same regressor
        gives the same bytes. A file that is there is replaced in one step: whatever happens
        meanwhile, it is the old one or the new one. Of the training data it has no row, only
        the means and scales of the columns, their names, the levels of categories, and a
        checksum.

        Parameters
        ----------
        path : str or os.PathLike
            Where to.

        Raises
        ------
        NotFittedError
            If there is nothing to save.
        TypeError
            For a parameter that is code (an object, a scorer, a schedule of your own) and for
            a subclass whose parameters are others.
        ValueError
            If the file would have 4 GiB or more, or the state is not one that a fit leaves.
        OSError
            If the file cannot be written; one that was there is still whole.
        """
        # Imported here, and in load: others do without.
        from . import persistence

        _check_constructor(type(self))
        check_is_fitted(self)
        state = vars(self).copy()  # one look at the state, whatever a refit does meanwhile
        fitted = {name: state[name] for name in persistence.ATTRIBUTES if name in state}
        persistence.save(path, {name: state[name] for name in DEFAULTS}, fitted)

    @classmethod
    def load(cls, path):
        """The fitted regressor in a file that :meth:`save` wrote, in this version or an older one.

        Nothing in the file is run, imported or looked up, so that one from a stranger can be
        opened (see SECURITY.md). It takes memory for at most twice the file and 16 MiB.

        Parameters
        ----------
        path : str or os.PathLike
            The file.

        Returns
        -------
        model : BackpropRegressor
            It predicts, and goes on with training, as the one that was saved.

        Raises
        ------
        ModelFileError
            If the file is damaged, no model, or of a newer version. It is a ValueError, with
            attributes `path` and `reason`.
        OSError
            If the file cannot be read.

        Examples
        --------
        >>> import os, tempfile
        >>> from skbackprop import BackpropRegressor
        >>> model = BackpropRegressor(max_iter=5).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "model.skb")
        ...     model.save(path)
        ...     again = BackpropRegressor.load(path)
        >>> bool((again.predict([[3.0]]) == model.predict([[3.0]])).all())
        True
        """
        from . import persistence

        _check_constructor(cls)
        params, fitted, _ = persistence.load(path, DEFAULTS)
        return cls(**params)._commit(fitted)

    def to_mlp_regressor(self):
        """The same network as a fitted scikit-learn MLPRegressor.

        Standardisation is folded into the first and the last layer; tools that export
        or embed scikit-learn's network then work for this one.

        Returns
        -------
        model : sklearn.neural_network.MLPRegressor
            Predicts what this model predicts, to rounding. It cannot be trained further.

        Raises
        ------
        ValueError
            If MLPRegressor cannot express the network; the message says why.
        """
        check_is_fitted(self)
        return to_mlp_regressor(self)

    def explain_backprop(self, X, y, sample_weight=None):
        """The derivation of the gradient with this network's numbers, from L down to layer 1.

        For every step of the way forward and back: the equation, the rule of
        :mod:`skbackprop.calculus` it comes from and why, the shapes, the norm and the matrix.
        The numbers are those of a training step, computed by the functions that train, which
        :func:`skbackprop.check_gradients` compares with differences of the objective.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Inputs. All rows make one batch, of which every matrix is kept: give a few. Those
            that would take more than 1 GiB are refused.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        explanation : Explanation
            Printed as text, shown as a page in a notebook; ``to_markdown()``, ``to_latex()``
            and ``to_dict()``. ``explanation["dW[2]"].result.value`` is the matrix dW[2].

        Notes
        -----
        The matrices are in the network's units: those of X and y, standardised. With dropout
        they are of one draw of the masks.

        Examples
        --------
        >>> import numpy as np
        >>> from skbackprop import BackpropRegressor
        >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> model = BackpropRegressor(hidden_layer_sizes=(2,), max_iter=5).fit(X, [1, 1, 0])
        >>> explanation = model.explain_backprop(X, [1, 1, 0])
        >>> explanation["dZ[1]"].equation, explanation["dZ[1]"].rules
        ("dZ[1] = dA[1] ⊙ g[1]'(Z[1])", ('elementwise',))
        """
        check_is_fitted(self)
        from .explanation import explain

        table, _ = checked_table(copy.copy(self), X, y, sample_weight, reset=False)
        return explain(vars(self), self._checked(), table)

    @property
    def coefs_(self):
        """Weights of every layer, (n[l-1], n[l]), in the caller's units."""
        check_is_fitted(self)
        return self._folded(0)

    @property
    def intercepts_(self):
        """Biases of every layer, (n[l],), in the caller's units."""
        check_is_fitted(self)
        return self._folded(1)

    @quietly  # a weight of a column of 1e-310 may be beyond 1e308
    def _folded(self, which):
        model = model_of(vars(self))
        return [M.astype(model.dtype_out) for M in model.folded()[which]]

    def __getstate__(self):
        return super().__getstate__() | {VERSION: __version__}

    def __setstate__(self, state):
        state = dict(state)
        version = state.pop(VERSION, __version__)
        if version.split(".")[:2] != __version__.split(".")[:2]:
            warnings.warn(
                f"pickled by skbackprop {version} and loaded by {__version__}: that they fit is "
                "promised for one minor version alone. Files that `save` writes are read for ever.",
                stacklevel=2,
            )
        super().__setstate__(state)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        # Not "categorical", which is said of estimators to which whole numbers are categories.
        given = self.standardize
        tags.input_tags.allow_nan = bool(given) if isinstance(given, (bool, np.bool_)) else True
        tags.target_tags.positive_only = self._is_given("loss", "poisson", "gamma")
        return tags

    def _is_given(self, parameter, *names):
        """Whether a parameter, of which nothing has been checked yet, is one of the names."""
        value = getattr(self, parameter)
        return isinstance(value, str) and value in names

    def _has_partial_fit(self):
        if parameters.is_full_batch(self.solver):
            raise AttributeError(
                f"partial_fit needs a mini-batch solver; solver={str(self.solver)!r} goes through "
                "all rows at every step"
            )
        return True

    def _checked(self):
        # Not get_params: a subclass may name fewer of them.
        params = {name: getattr(self, name) for name in DEFAULTS}
        params = parameters.checked(params, DEFAULTS)
        scoring.check(self, params["scoring"])
        return params

    def _tasks(self, fitting, about, table, X):
        """What tells the callbacks of every epoch; None if there are none."""
        if not has_callbacks(self):
            return None
        checked_X, y, weight = table
        if about["categories_"] is None:  # else a callback predicts of the levels in X itself
            X = checked_X
        y = y if about["_y_ndim"] == 2 else y[:, 0]
        metadata = {} if weight is None else {"sample_weight": weight}

        def attributes(theta):
            return fitting.predictive(theta) | about

        return EpochTasks(self, fitting.params["max_iter"], attributes, X=X, y=y, metadata=metadata)

    def _finish(self, fitting, stacklevel):
        """The fitted attributes, with a warning where training has not converged."""
        self._tell(outcome.verdict(self, fitting), stacklevel + 1)
        return fitting.attributes()

    def _tell(self, told, stacklevel):
        if told:
            warnings.warn(told, ConvergenceWarning, stacklevel=stacklevel)

    def _commit(self, fitted: dict[str, Any]):
        """Take over fitted attributes in one step, in place of all earlier ones."""
        # Names alone that are this class's: a subclass may have fitted attributes too.
        kept = vars(self).copy()  # at once: another thread may set an attribute
        kept.pop("feature_names_in_", None)
        self.__dict__ = kept | fitted
        return self


DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(BackpropRegressor).parameters.items()
}


def _check_constructor(cls):
    """Refuse to save or load a subclass that a file has not got all parameters of."""
    if inspect.signature(cls).parameters.keys() != DEFAULTS.keys():
        raise TypeError(
            f"{cls.__name__} has other parameters than BackpropRegressor, which a file has no "
            "place for; pickle keeps them"
        )
