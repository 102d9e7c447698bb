"""Parts of the LM Studio client, without sockets."""
