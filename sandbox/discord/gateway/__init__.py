"""The gateway: connections, sessions, and events as each session may see them."""
