"""Whether a request's terms on chain agree with its specification."""

from fedpact.errors import SpecificationError
from fedpact.types.cid import Cid
from fedpact.types.requests import Terms
from fedpact.types.specification import Specification


def require_agreement(spec: Specification, terms: Terms) -> None:
    """Raise SpecificationError with the first of the terms on chain that the specification
    contradicts. Pool, token, pay and openers stand in the terms alone."""
    windows = spec.windows
    said = {
        "evaluation": spec.evaluation_digest,
        "initial_model": Cid.parse(spec.initial_model).digest,
        "query_key": spec.query_key,
        "max_rounds": spec.rounds,
        "max_error": spec.max_error,
        "target": spec.target,
        "vote_band": spec.vote_band,
        "leader_rule": spec.chain_leader_rule,
        "approval_rule": spec.chain_approval_rule,
        "cohort": spec.max_providers,
        "join_window": windows.join,
        "start_window": windows.start,
        "submit_window": windows.submit,
        "commit_window": windows.commit,
        "reveal_window": windows.reveal,
        "attest_window": windows.propose,
        "deliver_window": windows.deliver,
    }
    for name, value in said.items():
        if getattr(terms, name) != value:
            raise SpecificationError(
                f"the terms on chain say {name} {getattr(terms, name)!r}, the specification"
                f" {value!r}"
            )
