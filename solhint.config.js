// What solhint holds the contracts to. Left out of the recommended set, with the reason:
module.exports = {
  extends: "solhint:recommended",
  rules: {
    "compiler-version": ["error", "0.8.37"],
    // Constructors have no visibility since Solidity 0.7.
    "func-visibility": ["error", { ignoreConstructors: true }],
    // Functions stay under fifty lines, by the project's own rule.
    "function-max-lines": ["error", 50],
    // Public immutables carry the names of the interface's functions.
    "immutable-vars-naming": "off",
    // Imports from @openzeppelin/ go by a remapping that solhint does not know; solc finds them or fails.
    "import-path-check": "off",
    // Packed words are worked on in memory-safe assembly where that spares gas.
    "no-inline-assembly": "off",
    // NatSpec stands on the interfaces; the contracts inherit it (@inheritdoc).
    "use-natspec": "off",
    // Gas is measured, operation by operation (make gas), not guessed.
    "gas-increment-by-one": "off",
    "gas-indexed-events": "off",
    "gas-small-strings": "off",
    "gas-strict-inequalities": "off",
    "gas-struct-packing": "off",
  },
};
