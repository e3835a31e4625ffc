// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A point of BN254's first group; (0, 0) is its zero.
struct Point {
    uint256 x;
    uint256 y;
}

using Bn254 for Point global;

/// @title Bn254
/// @notice The curve y^2 = x^3 + 3 of prime order, for which the EVM has precompiled addition and multiplication
/// (EIP-196), and proofs that two points have the same logarithm.
library Bn254 {
    uint256 private constant FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583;

    /// @notice A precompile refused a point that is not on the curve.
    error Bn254_NotAPoint();

    /// @notice Whether the point is on the curve and not its zero.
    function isValid(Point memory p) internal pure returns (bool) {
        if (p.x >= FIELD || p.y >= FIELD) return false;
        uint256 cube = mulmod(mulmod(p.x, p.x, FIELD), p.x, FIELD);
        return mulmod(p.y, p.y, FIELD) == addmod(cube, 3, FIELD);
    }

    /// @notice Whether the proof shows that `key` and `shared` are the generator and `base` times the same number
    /// (Chaum and Pedersen 1992, made non-interactive by Fiat and Shamir's transform).
    /// @dev With A = response * G - challenge * key and B = response * base - challenge * shared, the challenge must be the
    /// hash of the statement, A and B. `key` and `base` must be valid; reverts if `shared` is not on the curve.
    /// @param context What the proof is bound to.
    function haveSameLogarithm(
        Point memory key,
        Point memory base,
        Point memory shared,
        uint256 challenge,
        uint256 response,
        bytes32 context
    ) internal view returns (bool) {
        Point memory a = _difference(Point(1, 2), response, key, challenge);
        Point memory b = _difference(base, response, shared, challenge);
        return challenge == uint256(keccak256(abi.encode(context, key, base, shared, a, b)));
    }

    /// @dev m * p - n * q.
    function _difference(Point memory p, uint256 m, Point memory q, uint256 n) private view returns (Point memory) {
        Point memory minus = Point(q.x, q.y == 0 ? 0 : FIELD - q.y % FIELD);
        return _add(_multiply(p, m), _multiply(minus, n));
    }

    function _add(Point memory p, Point memory q) private view returns (Point memory sum) {
        uint256[4] memory input = [p.x, p.y, q.x, q.y];
        bool done;
        assembly ("memory-safe") {
            done := staticcall(gas(), 6, input, 0x80, sum, 0x40)
        }
        if (!done) revert Bn254_NotAPoint();
    }

    function _multiply(Point memory p, uint256 scalar) private view returns (Point memory product) {
        uint256[3] memory input = [p.x, p.y, scalar];
        bool done;
        assembly ("memory-safe") {
            done := staticcall(gas(), 7, input, 0x60, product, 0x40)
        }
        if (!done) revert Bn254_NotAPoint();
    }
}
