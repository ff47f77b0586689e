"""The core tables: people, memberships, interactions, contacts and pairs, one SQL file a table."""
