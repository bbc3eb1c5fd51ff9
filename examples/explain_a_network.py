"""The derivation of the gradient with a network's own numbers, and that its numbers are right.

``explain_backprop`` says for every matrix of a training step which rule of the calculus gives it
and what it is here. The text is printed; a notebook shows a page; explanation.md is for GitHub.
"""

import json

import numpy as np

from skbackprop import BackpropRegressor, check_gradients
from skbackprop.calculus import elementwise, left_multiplication, right_multiplication

rng = np.random.default_rng(0)
X = rng.normal(size=(6, 3))
y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2]
model = BackpropRegressor(
    hidden_layer_sizes=(4,), activation="tanh", learning_rate_init=0.05, random_state=0
).fit(X, y)

explanation = model.explain_backprop(X, y)
print(explanation)

# Each of them is a step with its result, to be worked out again by the rules it names ...
value = {name: explanation[name].result.value for name in ("A[0]", "A[1]", "W[1]", "W[2]", "dZ[2]")}
dA_1 = right_multiplication(value["dZ[2]"], value["W[2]"])
dZ_1 = elementwise(dA_1, 1 - value["A[1]"] ** 2)
penalty = explanation["penalty"].result.value
dW_1 = left_multiplication(dZ_1, value["A[0]"]) + penalty * value["W[1]"]
step = explanation["dW[1]"]
print(f"\n{step.equation} by {', '.join(step.rules)}")
assert np.allclose(dW_1, step.result.value)

# ... and held against differences of the objective.
report = check_gradients(model, X, y)
print(report.verdict)
assert report.passed
assert {line.rule for line in report if line.rule.startswith("dW")} <= {
    s.equation for s in explanation
}

with open("explanation.md", "w", encoding="utf-8") as file:
    file.write(explanation.to_markdown())
print(f"wrote explanation.md; {len(json.dumps(explanation.to_dict())):,} characters of JSON")
