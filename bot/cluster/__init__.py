"""Several processes with one database: who answers, and how the others take over."""
