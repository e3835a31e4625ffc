"""Tables of firms and of scikit-learn: the table family against central training."""
