"""PPO on the zoo's own networks, feed-forward and recurrent: how victims are retrained from their zoo weights."""
