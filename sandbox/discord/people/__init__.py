"""People at their clients, webhooks, and bots that proxy people."""
