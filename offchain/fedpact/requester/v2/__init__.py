"""The requester in the second protocol: publish, open slices, fetch, dispute, settle."""
