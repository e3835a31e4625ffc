"""What tests in several folders share: chains, requests, committees, specifications."""
