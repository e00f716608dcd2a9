"""Palette masks of the clips: which pixel is pourer, receiver, liquid or none of them."""

__all__: list[str] = []
