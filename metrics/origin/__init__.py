"""Where ties come from: the organisation itself, or its people."""
