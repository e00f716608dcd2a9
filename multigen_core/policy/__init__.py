"""Policies that pour by sight and sound: diffusion over a chunk of actions, and its training."""
