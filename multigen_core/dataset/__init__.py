"""The episode store: LeRobot v3 shards with sound, and the training windows cut from them."""
