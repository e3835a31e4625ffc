"""Why a provider stays out of a request, as it says in public: coarse, and never from records."""

from enum import StrEnum


class Reason(StrEnum):
    """Each follows from the request, from what the provider declares and from its policy."""

    FULL = "pool full"
    INVITED = "others are invited"
    SCHEMA = "schema"
    """Other columns, labels or shapes than those it declares."""
    CATEGORY = "policy: category"
    FAMILY = "policy: family"
    """Not listed, or not installed."""
    NETWORK = "policy: network"
    PAY = "policy: pay"
    PRIVACY = "policy: privacy"
    """Its mode, or epsilon for one request."""
    SIZE = "policy: size"
    """Of the model, or of the training."""
    SAMPLES = "policy: samples"
    """Fewer declared units than the policy takes part with."""
    WINDOWS = "policy: windows"
    REQUESTER = "policy: requester"
    """Its reputation."""
    SUMS = "policy: secure sums"
    RESALE = "policy: resale"
    BUDGET = "privacy budget"
    """Of the data set or of the requester, whatever the records are."""
    ROOM = "no room"
    """Its content store's quota."""
    REQUEST = "request"
    """The specification or the first model is malformed, or needs what is not installed."""
