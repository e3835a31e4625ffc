"""The provider's daemon: one cycle, its duties, its policy and its local state."""
