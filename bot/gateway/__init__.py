"""The Discord client: connecting, reconnecting, presence, and which Discord it talks to."""
