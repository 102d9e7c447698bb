"""The LM Studio client over real sockets, against the local LM Studio."""
