"""The part of Kinova's Kortex protocol that a pour needs, written from its published format.

Own message definitions and an own client: wire-compatible with the kortex_api 2.6.0.post3 client as far as the golden
bytes and the format go; nothing here was ever validated against a robot.
"""
