"""``bot.ops`` on real sockets."""
