"""What may be deployed: EIP-170 bounds a contract's code."""

from scripts.compile import ROOT, compile_contracts


def test_all_contracts_stay_below_the_size_limit() -> None:
    compiled = compile_contracts(sorted((ROOT / "contracts/v2").glob("*.sol")))
    sizes = {name: len(one["deployed_bytecode"]) // 2 - 1 for name, one in compiled.items()}
    assert {name: size for name, size in sizes.items() if size >= 24_576} == {}
