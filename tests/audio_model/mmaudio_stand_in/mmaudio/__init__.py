"""A minimal MMAudio: the call signatures that the adapter relies on, with networks of a few hundred weights.

Sizes and asserts are those of the real package where the adapter could get them wrong; what the networks compute is
not. ``tests/audio_model/test_mmaudio_real.py`` runs the same adapter on the real one.
"""
