"""How well the web of relationships stands losses, and lets knowledge travel."""
