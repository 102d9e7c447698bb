"""Files of people as text and pictures for the model, read in bounded processes of their own."""
