"""The one hierarchy of exceptions.

A message says what was wrong, with which value, and what to do. `exit_code` is what the
command line ends with (docs/exit-codes.md). Errors that the passing of time may mend derive
from `Retryable`: a daemon logs them, backs off and tries again; all others end the attempt.
"""


class FedpactError(Exception):
    """Base of every error that fedpact raises on purpose."""

    exit_code = 1


class InvalidInput(FedpactError):
    """An argument, option or file that cannot be used as given."""

    exit_code = 2


class SettingsError(InvalidInput):
    """Settings (file, environment or flags) that are missing or contradict each other."""


class SpecificationError(InvalidInput):
    """A request's specification that fails its schema or contradicts itself."""

    exit_code = 3


class DataError(InvalidInput):
    """Data that cannot be read as the specification asks (no label column, not finite, ragged)."""

    exit_code = 4


class DataMissing(DataError):
    """Data that are not there: no folder named, or no such file in it."""


class KeyStoreError(FedpactError):
    """A key store that is missing, or a password that does not open it."""

    exit_code = 5


class DeploymentError(FedpactError):
    """No deployment file, or one of another network or deployment."""

    exit_code = 6


class UnknownRequest(FedpactError):
    """A request id that the market does not know."""

    exit_code = 7


class Reverted(FedpactError):
    """A contract refused a transaction; `name` and `arguments` are those of its custom error."""

    exit_code = 8

    def __init__(self, name: str, arguments: tuple[object, ...] = (), *, action: str = "") -> None:
        self.name = name
        self.arguments = arguments
        listed = ", ".join(str(a) for a in arguments)
        doing = f"{action}: " if action else ""
        super().__init__(f"{doing}the contract refused: {name}({listed})")


class UnfundedAccount(FedpactError):
    """An account that cannot pay for a transaction."""

    exit_code = 9


class ContentError(FedpactError):
    """Content that does not match its CID, is too large, or cannot be decrypted."""

    exit_code = 10


class ContentMismatch(ContentError):
    """Bytes that do not hash to the CID under which they were served."""


class ContentTooLarge(ContentError):
    """Content larger than the caller allows."""


class DecryptionError(ContentError):
    """An envelope or seal that the key at hand does not open."""


class ModelError(FedpactError):
    """A model of the wrong shape, type or size, or with values that are not finite."""

    exit_code = 11


class PrivacyError(FedpactError):
    """A privacy parameter out of range, or a demand that no noise can meet."""

    exit_code = 12


class BudgetExceeded(PrivacyError):
    """A release that would spend more than the provider's limit allows."""


class LedgerError(FedpactError):
    """A privacy ledger that is locked, corrupt, of a newer version or older than the chain."""

    exit_code = 13


class PolicyRefusal(FedpactError):
    """A request that the provider's policy declines."""

    exit_code = 14


class NotReady(FedpactError):
    """What was asked for does not exist yet (no model delivered, round not final)."""

    exit_code = 15


class AuditFailed(FedpactError):
    """An audit found something that does not hold."""

    exit_code = 16


class StateError(FedpactError):
    """A daemon's state file of another deployment, another account or a newer version."""

    exit_code = 17


class ExperimentError(FedpactError):
    """A case of an experiment that failed, or a file of results that cannot be read."""

    exit_code = 18


class RetrievalError(FedpactError):
    """A signature, profile or message of retrieval that is malformed, too large or refused."""

    exit_code = 19


class SearchRefused(RetrievalError):
    """A search that is not signed, not by a participant, expired, replayed or meant elsewhere.

    `reason` is one word for programs; `status` the HTTP status by which an endpoint says so.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(message)


class Retryable(FedpactError):
    """Something outside is not answering now; trying again later may work."""

    exit_code = 20


class NodeUnreachable(Retryable):
    """The Ethereum node does not answer."""

    exit_code = 21


class StoreUnreachable(Retryable):
    """The content store does not answer."""

    exit_code = 22


class SearchFailed(Retryable):
    """No provider's daemon answered a search."""

    exit_code = 25


class ContentMissing(Retryable):
    """The store does not hold the content, or not yet."""

    exit_code = 23


class TransactionTimeout(Retryable):
    """A transaction was not mined in the time allowed."""

    exit_code = 24
