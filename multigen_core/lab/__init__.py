"""Where a trained policy pours: one contract, the emulated lab, its cups, its sensors and the control loop.

The emulated lab is a simulation. A result from it is never a real-robot result.
"""
