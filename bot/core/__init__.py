"""Values, protocols, failures, time and tasks: the vocabulary of every other package."""
