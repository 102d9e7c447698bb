"""From model text to safe text: the reasoning filter, the sanitiser and the pipeline."""
