"""What is done to memories while nobody asks: in small slices, and so that it can be put back."""
