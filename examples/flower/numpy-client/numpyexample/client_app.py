"""The ClientApp, a NumPyClient."""

from flwr.app import Context
from flwr.client import NumPyClient
from flwr.clientapp import ClientApp

from numpyexample.task import load, probabilities, train


class Client(NumPyClient):
    def __init__(self, path, steps, rate):
        self.x, self.y = load(path)
        self.steps, self.rate = steps, rate

    def fit(self, parameters, config):
        return train(parameters, self.x, self.y, self.steps, self.rate), len(self.y), {}

    def evaluate(self, parameters, config):
        accuracy = float((probabilities(parameters, self.x).argmax(axis=1) == self.y).mean())
        return 1 - accuracy, len(self.y), {"accuracy": accuracy}


def client_fn(context: Context):
    run = context.run_config
    return Client(
        context.node_config["data-path"], run["local-steps"], run["learning-rate"]
    ).to_client()


app = ClientApp(client_fn)
