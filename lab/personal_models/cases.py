"""Kind `personal`: federated training, and the model that each provider has for its own records.

Settings are those of kind `federation`, with all providers in each round. `local_accuracy`: of each
provider's own model on the test set weighted by the provider's label shares, averaged over the
providers. A provider's own model is the one that it trained in the last round or, with a strategy
that makes personal models, the one that `fedpact provider personal` makes of the last global model.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from fedpact.data import sources
from fedpact.learning.families import represented
from fedpact.learning.personal import personal_model
from fedpact.learning.strategies import strategy
from fedpact.types.specification import StrategyChoice
from lab.federation.cases import federation_of, settings_of, test_set
from lab.federation.training import on_own_labels, train_federation
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case


def run(case: Case, checkpoint: Checkpoint) -> dict[str, Any]:
    """One federation, then the personal models."""
    settings = settings_of(case)
    source = sources.load(case.dataset, case.seed)
    asked = federation_of(case, settings, source)
    test = represented(asked.spec, test_set(source, settings.test_examples, case.seed))
    asked = replace(asked, parts=[represented(asked.spec, part) for part in asked.parts])
    personal = strategy(asked.spec.strategy).personalises
    # What is shared is FedAvg's; algorithm 1 would train personal models that nobody measures.
    plan = StrategyChoice(name="fedavg") if personal else asked.spec.strategy
    shared = replace(asked, spec=asked.spec.model_copy(update={"strategy": plan}))
    model, curves = train_federation(
        shared,
        test,
        resumed=checkpoint.state,
        on_round=lambda done, state: checkpoint.reached(done, shared.spec.rounds, state),
    )
    local = curves.local[-1]
    if personal:
        own = [personal_model(asked.spec, model, part) for part in asked.parts]
        measured = [
            on_own_labels(asked, one, part, test)
            for one, part in zip(own, asked.parts, strict=True)
        ]
        local = float(np.mean(measured))
    return {
        "metrics": {"global_accuracy": curves.global_[-1], "local_accuracy": local},
        "details": {"examples": [len(part) for part in asked.parts], "test_examples": len(test)},
    }
