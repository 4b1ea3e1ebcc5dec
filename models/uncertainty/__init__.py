"""What is not known: scenarios of it, how far their probabilities may be wrong, and what that costs at worst."""
