"""What is remembered about each user, agent and run."""
