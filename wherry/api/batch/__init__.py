"""Group `batch`: work that ends."""
