"""Who takes part in a demo: accounts, and the providers' daemons with their policies."""

from fedpact.chain.keystore import AccountKeys
from fedpact.demo.data import DemoData
from fedpact.demo.network import DemoNetwork
from fedpact.demo.options import DemoOptions
from fedpact.requester.requester import Requester

POLL_SECONDS = 0.05
DRAWN_AT_EASE = 4
"""Members of a round whose daemons one machine can run at the shortest interval."""
START_SECONDS = 60.0
"""Least time for all daemons to start; each takes two seconds of a processor."""
POLICY = """min_pay_per_round = 1_000_000_000_000
categories = ["{category}"]
families = ["{family}"]
epsilon_per_request = {epsilon}
epsilon_per_requester = {lifetime}
submit_after = 0.0
epsilon_lifetime = {lifetime}
delta = 1e-5
min_samples = 2
accept_without_privacy = {unprotected}
accept_paper_privacy = {paper}
"""


def admit(
    network: DemoNetwork, registrar: AccountKeys, providers: int
) -> tuple[Requester, AccountKeys, tuple[AccountKeys, ...]]:
    """A requester, an auditor and the providers, each registered with its own organisation."""
    names = ["requester", "auditor", *(f"provider-{n + 1}" for n in range(providers))]
    accounts = [network.account(name) for name in names]
    for organisation, keys in enumerate(accounts, start=1):
        network.register(registrar, keys, organisation)
    needed = (network.store, accounts[0], network.folder / "state")
    return Requester(network.client, *needed), accounts[1], tuple(accounts[2:])


def serve(network: DemoNetwork, data: DemoData, options: DemoOptions, number: int) -> None:
    """Start the daemon of provider `number` (from 0)."""
    asked = data.draft.specification
    policy = network.folder / f"policy-{number + 1}.toml"
    policy.write_text(
        POLICY.format(
            category=asked.category,
            family=asked.family.name,
            # Slightly above the request's, so that rounding of the noise causes no decline.
            epsilon=_limit(options) * 1.001,
            lifetime=_limit(options) * 2,
            unprotected=str(options.epsilon is None).lower(),
            paper=str(options.mechanism is not None).lower(),
        )
    )
    network.start_daemon(
        f"provider-{number + 1}",
        data.files[number],
        policy,
        poll_seconds(options),
        options.poison_of(number),
        network.listens(),
    )


def wait_for_daemons(network: DemoNetwork, options: DemoOptions) -> None:
    """Until all serve. Raises FedpactError where one does not."""
    network.wait_until_serving(max(START_SECONDS, 10.0 * options.providers))


def poll_seconds(options: DemoOptions) -> float:
    """More daemons on the same cores look less often."""
    return POLL_SECONDS * max(1.0, options.drawn / DRAWN_AT_EASE)


def _limit(options: DemoOptions) -> float:
    return 1.0 if options.epsilon is None else options.epsilon
