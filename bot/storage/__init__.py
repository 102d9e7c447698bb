"""What is kept over a restart: settings, accepted questions, small state. SQLAlchemy Core only."""
