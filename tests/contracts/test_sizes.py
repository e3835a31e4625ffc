"""What may be deployed: EIP-170 bounds a contract's code."""

import pytest

from scripts.compile import DEPLOYED, compile_contracts


@pytest.mark.slow
def test_all_contracts_stay_below_the_size_limit() -> None:
    compiled = compile_contracts(DEPLOYED.sources)
    sizes = {name: len(one["deployed_bytecode"]) // 2 - 1 for name, one in compiled.items()}
    assert {name: size for name, size in sizes.items() if size >= 24_576} == {}
