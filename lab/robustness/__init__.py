"""Study: what colluding poisoners do to a committee, by attack and aggregation rule."""
