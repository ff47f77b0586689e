"""Relationships with clients, suppliers, partners and public bodies."""
