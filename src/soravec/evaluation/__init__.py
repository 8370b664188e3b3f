"""How good is it: protocols and metrics."""
