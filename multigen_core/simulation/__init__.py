"""The silent world: arm, cups, liquid, light and camera, and the expert that pours in it. Nothing here knows of sound."""

__all__: list[str] = []
