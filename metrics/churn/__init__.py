"""Which ties form, hold and fade from one period to the next."""
