"""Physics of pouring sound: resonance laws, a synthesiser, and what a recording tells about the air column.

Only the reference clips, the emulated lab and the scoring of generated sound may import this package: the policy must
never hear physical sound in training.
"""

__all__: list[str] = []
