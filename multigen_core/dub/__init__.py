"""Gives every silent episode its sound: generated, or environmental noise for the baseline."""

__all__: list[str] = []
