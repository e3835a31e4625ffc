"""The provider's HTTP endpoint: searches from requesters, messages from other daemons."""
