"""The model that watches a silent pour, as masks, and makes its sound."""

__all__: list[str] = []
