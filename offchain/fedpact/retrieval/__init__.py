"""Finding the few providers whose data fit, among any number: Lu et al. 2020, section III-B."""
