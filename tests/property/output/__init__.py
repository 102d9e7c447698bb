"""From model text to shown text, over generated texts and every way of cutting them."""
