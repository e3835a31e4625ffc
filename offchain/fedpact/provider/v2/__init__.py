"""What a provider's daemon does in requests (docs/protocol-v2.md)."""
