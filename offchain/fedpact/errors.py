"""All exceptions that fedpact raises.

A message says what went wrong, names the value and says what to do. `exit_code` is the exit status
of the command line (docs/exit-codes.md). Errors that may go away by themselves derive from
`Retryable`: a daemon logs them, backs off and tries again. All others end the attempt.
"""


class FedpactError(Exception):
    """Base of every error that fedpact raises on purpose."""

    exit_code = 1


class InvalidInput(FedpactError):
    """An argument, option or file is invalid."""

    exit_code = 2


class SettingsError(InvalidInput):
    """Settings (file, environment or flags) are missing or contradict each other."""


class SpecificationError(InvalidInput):
    """A request's specification does not fit its schema or contradicts itself."""

    exit_code = 3


class UnknownName(SpecificationError):
    """A family, strategy or aggregation rule that is not known here."""


class UnknownFamily(UnknownName):
    """A model family that is not installed here, or not as the specification names it."""


class DataError(InvalidInput):
    """Data do not fit the specification (no label column, values not finite, ragged rows)."""

    exit_code = 4


class DataMissing(DataError):
    """Data are missing: no folder is set, or the file does not exist in it."""


class KeyStoreError(FedpactError):
    """The key store is missing, or the password does not open it."""

    exit_code = 5


class DeploymentError(FedpactError):
    """The deployment file is missing, or belongs to another network or deployment."""

    exit_code = 6


class UnknownRequest(FedpactError):
    """The market knows no request with this id."""

    exit_code = 7


class Reverted(FedpactError):
    """A contract refused a transaction; `name` and `arguments` are its custom error's."""

    exit_code = 8

    def __init__(self, name: str, arguments: tuple[object, ...] = (), *, action: str = "") -> None:
        self.name = name
        self.arguments = arguments
        listed = ", ".join(str(a) for a in arguments)
        doing = f"{action}: " if action else ""
        super().__init__(f"{doing}the contract refused: {name}({listed})")


class UnfundedAccount(FedpactError):
    """An account cannot pay for a transaction."""

    exit_code = 9


class ContentError(FedpactError):
    """Content is not what was promised, is too large, or cannot be decrypted."""

    exit_code = 10


class ContentTooLarge(ContentError):
    """Content is larger than the caller allows."""


class DecryptionError(ContentError):
    """The key does not open an envelope or seal."""


class ModelError(FedpactError):
    """A model has the wrong shape, type or size, or values that are not finite."""

    exit_code = 11


class TrainingFailed(FedpactError):
    """A training raised, was killed, or needed more time or memory than it may take."""


class TrainingTooLong(TrainingFailed):
    """A training, or a trial of one before joining, did not end in its time."""


class PrivacyError(FedpactError):
    """A privacy parameter is out of range, or no noise can meet the privacy asked for."""

    exit_code = 12


class DeviceUnfit(PrivacyError):
    """Privacy mode `sound` does not hold on the device that trains; it follows from no record."""


class BudgetExceeded(PrivacyError):
    """A release would exceed the provider's lifetime budget."""


class LedgerError(FedpactError):
    """A privacy ledger is corrupt, of a newer version, or older than the chain."""

    exit_code = 13


class LedgerReplaced(LedgerError):
    """Another file has taken the place of an open privacy ledger, or an older copy its content."""


class PolicyRefusal(FedpactError):
    """The provider's policy declines a request.

    `reason`: the part of it that may be said in public (`types.declining.Reason`); None: nothing.
    """

    exit_code = 14

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class NotReady(FedpactError):
    """The result does not exist yet (no model delivered, round not final)."""

    exit_code = 15


class AuditFailed(FedpactError):
    """An audit failed at least one check."""

    exit_code = 16


class StateError(FedpactError):
    """A daemon's state file belongs to another deployment or account, or is of a newer version."""

    exit_code = 17


class StateDamaged(StateError):
    """A daemon's state file has invalid content; all of it can be read from the chain again."""


class RetrievalError(FedpactError):
    """A signature, profile or message of retrieval is malformed, too large or refused."""

    exit_code = 19


class SearchRefused(RetrievalError):
    """A search is unsigned, not from a participant, expired, replayed or for another daemon.

    `reason` is one word for programs, `status` the endpoint's HTTP status.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(message)


class Retryable(FedpactError):
    """An outside service does not answer; trying again later may work."""

    exit_code = 20


class NodeUnreachable(Retryable):
    """The Ethereum node does not answer, or gives no answer that can be used."""

    exit_code = 21


class ContentUnavailable(Retryable):
    """The content store does not give some content now."""


class StoreUnreachable(ContentUnavailable):
    """The content store does not answer."""

    exit_code = 22


class SearchFailed(Retryable):
    """No provider's daemon answered a search."""

    exit_code = 25


class ContentMissing(ContentUnavailable):
    """The store does not hold the content, or not yet."""

    exit_code = 23


class ContentSought(ContentUnavailable):
    """Content is being looked for, or stored, beside the cycle; whether the store has it is not
    known yet."""

    def __init__(self, message: str, *, again: bool = False) -> None:
        """`again`: it was not there when it was looked for before."""
        super().__init__(message)
        self.again = again


class ContentMismatch(ContentUnavailable):
    """The store served bytes that do not hash to the CID; it may serve the right ones later."""

    exit_code = 29


class TransactionTimeout(Retryable):
    """A transaction was not mined in the time allowed."""

    exit_code = 24


class SignerUnreachable(Retryable):
    """The remote signer of an account does not answer, or refuses to sign."""

    exit_code = 27


class FeeTooHigh(Retryable):
    """Gas costs more than the settings allow, or a transaction more than it can earn."""

    exit_code = 26


class StorageUnavailable(Retryable):
    """A file that must record what is done is locked, or its disk full, read-only or over quota."""

    exit_code = 28


class LedgerUnavailable(StorageUnavailable, LedgerError):
    """A privacy ledger is locked by another process, or its disk full, read-only or over quota."""
