"""Teaches robots to pour by ear: generative sound for silent simulation."""
