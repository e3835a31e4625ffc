"""Study: the effect of colluding poisoners on a committee, by attack and aggregation rule."""
