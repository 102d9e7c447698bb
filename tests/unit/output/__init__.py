"""From model text to shown text: the filter and the sanitiser, case by case."""
