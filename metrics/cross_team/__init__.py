"""Whether ties cross the organisation's own borders."""
