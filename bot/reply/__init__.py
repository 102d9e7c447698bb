"""From model text to Discord text: reasoning filter, sanitiser, splitting and delivery."""
