"""What each medium does for relationships."""
