"""The whole application held against hostile people, a hostile model and a failing Discord."""
