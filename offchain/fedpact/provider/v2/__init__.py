"""What a provider's daemon does in requests of the second protocol (docs/protocol-v2.md)."""
