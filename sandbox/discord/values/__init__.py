"""Plain values: they know nothing of guilds, of the world or of connections."""
