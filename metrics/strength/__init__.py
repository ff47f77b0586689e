"""How strong a tie is: days, weight, time together."""
