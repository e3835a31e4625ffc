"""The requester: publish, open slices, fetch, dispute, settle."""
