"""The Discord surface: thin cogs and their private helpers."""
