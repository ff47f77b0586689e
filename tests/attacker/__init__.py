"""An attacker of exports who knows nothing but their files, and a judge who knows the truth.

It shares no code and no assumption with the disclosure control: every relation between figures is guessed from the files.
"""

from attacker.attack import attack, counted
from attacker.finding import Finding

__all__ = ["Finding", "attack", "counted"]
