"""Study: choosing a few of many providers for a request about one topic."""
