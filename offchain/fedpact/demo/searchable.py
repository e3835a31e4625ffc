"""Providers with published profiles whose daemons, each a process, answer searches."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from fedpact.chain.keystore import AccountKeys
from fedpact.data.declared import DeclaredData
from fedpact.data.schema_draft import as_toml, propose
from fedpact.demo.network import DemoNetwork, free_port
from fedpact.errors import FedpactError
from fedpact.provider import profile
from fedpact.provider.files import ledger_file, profile_file
from fedpact.provider.ledger.opening import open_ledger
from fedpact.provider.local_profile import LocalProfile
from fedpact.provider.policy import Policy
from fedpact.retrieval.profiles.document import Profile
from fedpact.retrieval.search_api import About
from fedpact.types.schema import DataSchema, schema_file

POLICY = "submit_after = 0.0\nmin_samples = 20\nmin_pay_per_round = 5\n"


@dataclass(frozen=True)
class SearchableProvider:
    """One provider of the network."""

    name: str
    keys: AccountKeys
    category: str
    data: Path
    policy: Path
    listen: str
    profile: Profile
    """As published."""

    @property
    def url(self) -> str:
        return f"http://{self.listen}"


def write_texts(folder: Path, texts: Sequence[str]) -> Path:
    """A data folder of one label with these documents."""
    label = folder / "posts"
    label.mkdir(parents=True)
    for number, text in enumerate(texts):
        (label / f"{number:05d}").write_text(text, encoding="utf-8", errors="replace")
    return folder


def publish_providers(
    network: DemoNetwork, registrar: AccountKeys, texts: Mapping[str, tuple[str, Sequence[str]]]
) -> list[SearchableProvider]:
    """Register a provider for each name with (category, documents); publish its profile."""
    found = []
    for number, (name, (category, documents)) in enumerate(texts.items()):
        keys = network.account(name)
        network.register(registrar, keys, 1_000 + number)
        data = write_texts(network.folder / f"data-{name}", documents)
        schema = propose(data, category)
        schema_file(data).write_text(as_toml(schema))
        one, _ = publish_profile(network, keys, name, schema, data, POLICY)
        found.append(one)
    return found


def publish_profile(
    network: DemoNetwork,
    keys: AccountKeys,
    name: str,
    schema: DataSchema,
    data: Path,
    policy_text: str,
) -> tuple[SearchableProvider, LocalProfile]:
    """A registered provider's profile, built from its data and put on chain.

    `policy_text`: as in docs/operating.md, for the profile and for its daemon.
    """
    policy = network.folder / f"policy-{name}.toml"
    policy.write_text(policy_text)
    listen = f"127.0.0.1:{free_port()}"
    terms = Policy.read(policy)
    path = ledger_file(network.folder / "state", keys.address)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_ledger(path, keys) as ledger:
        declared = profile.profile_data(DeclaredData.read(data, schema))
        built = profile.build(declared, (schema.category,), terms, ledger)
    built.write(profile_file(network.folder / "state", keys.address))
    one = profile.published(built, keys, f"http://{listen}", terms.min_pay_per_round)
    profile.publish(network.client, network.store, keys, one)
    return SearchableProvider(name, keys, schema.category, data, policy, listen, one), built


def serve(network: DemoNetwork, provider: SearchableProvider, poll_seconds: float = 0.5) -> None:
    """Start one provider's daemon."""
    network.start_daemon(
        provider.name, provider.data, provider.policy, poll_seconds, None, provider.listen
    )


def wait_until_joined(
    providers: Sequence[SearchableProvider], members: int, seconds: float = 60.0
) -> None:
    """Wait until each daemon knows at least `members` of its community; raises FedpactError."""
    deadline = time.monotonic() + seconds
    with httpx.Client(trust_env=False, timeout=5.0) as client:
        for provider in providers:
            while _members(client, provider) < members:
                if time.monotonic() > deadline:
                    raise FedpactError(
                        f"{provider.name} knew {_members(client, provider)} of {members} after "
                        f"{seconds:g} seconds"
                    )
                time.sleep(0.1)


def wait_until_settled(
    providers: Sequence[SearchableProvider], still: float = 8.0, seconds: float = 600.0
) -> list[int]:
    """Wait until no community has changed for `still` seconds and none has one node; their sizes.

    Raises FedpactError after `seconds`.
    """
    deadline = time.monotonic() + seconds
    with httpx.Client(trust_env=False, timeout=5.0) as client:
        sizes, since = [0], time.monotonic()
        while time.monotonic() - since < still or min(sizes) < 2:
            if time.monotonic() > deadline:
                raise FedpactError(f"communities still changed after {seconds:g} seconds: {sizes}")
            time.sleep(0.5)
            found = [_members(client, provider) for provider in providers]
            if found != sizes:
                sizes, since = found, time.monotonic()
    return sizes


def _members(client: httpx.Client, provider: SearchableProvider) -> int:
    try:
        answer = client.get(provider.url + "/retrieval/about")
        return About.model_validate_json(answer.content).members
    except (httpx.HTTPError, ValueError):
        return -1
