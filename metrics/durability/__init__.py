"""How long ties hold."""
