"""A data frame as it comes, with text, categories and missing values, and how sure a prediction is.

The table is made here: rents, of which district, floor and size are known, more or less.

Needs pandas.
"""

import numpy as np
import pandas as pd
from sklearn.model_selection import cross_val_score, train_test_split

from skbackprop import BackpropRegressor

rng = np.random.default_rng(0)
n = 800
flats = pd.DataFrame(
    {
        "district": rng.choice(["harbour", "old town", "station", "hills"], n),
        "condition": pd.Categorical(rng.choice(["new", "used"], n)),
        "size": rng.gamma(9, 8, n),
        "floor": rng.integers(0, 8, n),
        "balcony": rng.random(n) < 0.4,
    }
)
per_metre = flats["district"].map({"harbour": 14, "old town": 17, "station": 11, "hills": 15})
rent = per_metre * flats["size"] + 90 * (flats["condition"] == "new") + 12 * flats["floor"]
rent += 40 * flats["balcony"] + rng.normal(0, 50, n)
flats.loc[rng.random(n) < 0.1, "size"] = np.nan  # nobody wrote it down
flats.loc[rng.random(n) < 0.05, "district"] = None

X_train, X_test, y_train, y_test = train_test_split(flats, rent, random_state=0)
model = BackpropRegressor(random_state=0).fit(X_train, y_train)
print(f"columns of X, inputs of the network:   {X_train.shape[1]}, {model.layer_sizes_[0]}")
print(f"levels of district:                    {', '.join(model.categories_[0])}")
print(f"R² on held-out rows:                   {model.score(X_test, y_test):.3f}")

# Where y will be: of held-out rows about nine in ten are within.
low, high = model.predict_interval(X_test, coverage=0.9).T
print(f"rows within intervals of 90 %:         {np.mean((low <= y_test) & (y_test <= high)):.3f}")
print(f"their width:                           {np.mean(high - low):.0f}")

# How far the networks disagree: more where training says little, as of flats without a size.
_, std = model.predict(X_test, return_std=True)
unknown = X_test["size"].isna()
print(f"deviation between networks, size known: {std[~unknown].mean():.0f}")
print(f"                          size unknown: {std[unknown].mean():.0f}")

# A district that fit has not seen is none of those that it has.
first = X_test.iloc[[0]]
print(f"rent of the first flat:                {model.predict(first)[0]:.0f}")
print(
    f"in a district that is new:             {model.predict(first.assign(district='mill'))[0]:.0f}"
)

print("by a unit of each feature, on average (none by a category):")
print(pd.DataFrame(model.marginal_effects(X_test)).round(2).to_string(index=False))

# The same fit in every fold, by one small network, a fraction of the time.
quick = BackpropRegressor(n_networks=1, n_bins=0, random_state=0)
for name, estimator in {"defaults": model, "one network, no bins": quick}.items():
    scores = cross_val_score(estimator, flats, rent, cv=3)
    print(f"R² in 3 folds, {name + ':':24}{scores.mean():.3f}")
