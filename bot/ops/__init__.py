"""Running it: metrics, logs, signals, the terminal, the watchdog, and the check before a start."""
