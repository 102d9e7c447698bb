"""The demo's page, over real sockets."""
