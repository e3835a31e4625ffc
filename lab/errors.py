"""The laboratory's own error. All others are those of the product (`fedpact.errors`)."""

from fedpact.errors import FedpactError


class ExperimentError(FedpactError):
    """Some cases failed, or a file of results is corrupt or in use."""

    exit_code = 18
