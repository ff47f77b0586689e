"""Whether the published intervals hold what was planted: the sandbox's organisations, seed after seed, from messages to tables.

Run `PYTHONPATH=.:tests python -m planted --seeds 200`; FIGURES.md keeps what it found.
"""
