"""Pours to learn sound from: where they come from, how they are cut, and the catalogue of those that were kept."""

__all__: list[str] = []
