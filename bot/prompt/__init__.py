"""What the model is given: the conversation, cleaned, cut to fit, and warm from turn to turn."""
