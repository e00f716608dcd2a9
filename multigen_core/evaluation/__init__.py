"""Closed-loop trials, what they add up to, the report that shows it and the gate that acts on it."""
