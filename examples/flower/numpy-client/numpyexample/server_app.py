"""The ServerApp: federated averaging from zeros."""

import numpy as np
from flwr.app import Context
from flwr.common import ndarrays_to_parameters
from flwr.server import ServerAppComponents, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.serverapp import ServerApp


def server_fn(context: Context):
    run = context.run_config
    first = [np.zeros((run["features"], run["labels"])), np.zeros(run["labels"])]
    strategy = FedAvg(initial_parameters=ndarrays_to_parameters(first))
    return ServerAppComponents(
        strategy=strategy, config=ServerConfig(num_rounds=run["num-server-rounds"])
    )


app = ServerApp(server_fn=server_fn)
