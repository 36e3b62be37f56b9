"""From one API to another, through one model of a conversation that stands between all of them."""
