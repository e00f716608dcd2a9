"""The silent world: arm, cups, liquid, light, camera and the expert that pours. Nothing here knows of sound."""

__all__: list[str] = []
