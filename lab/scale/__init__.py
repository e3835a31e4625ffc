"""What a whole request costs as the number of participants grows, by PoQ and by proof of work."""
