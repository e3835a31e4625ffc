"""Central training without privacy on all rows: the better of boosting and a linear model."""

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, QuantileRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lab.tables.tasks import TableTask, metric_of


def central(task: TableTask, seed: int) -> dict[str, float]:
    """The metric on the test rows, by kind of model."""
    data, test = task.training, task.test
    filled = np.nan_to_num(data.x), np.nan_to_num(test.x)
    models: dict[str, Any] = (
        {
            "boosting": HistGradientBoostingClassifier(random_state=seed),
            "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        }
        if task.labels
        else {
            "boosting": HistGradientBoostingRegressor(loss="absolute_error", random_state=seed),
            "linear": make_pipeline(StandardScaler(), QuantileRegressor(alpha=0, solver="highs")),
        }
    )
    found = {}
    for name, model in models.items():
        model.fit(filled[0], data.y)
        predicted = (
            model.predict_proba(filled[1]) if task.labels else model.predict(filled[1])[:, None]
        )
        found[name] = metric_of(task, predicted)
    return found
