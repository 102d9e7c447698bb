"""A local Discord and a local LM Studio, over real sockets."""
