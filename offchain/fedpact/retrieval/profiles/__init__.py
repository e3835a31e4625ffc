"""What a provider publishes of its data, and what that gives away."""
