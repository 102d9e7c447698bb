"""The REST API: routing, rate limits, and a handler for each route."""
