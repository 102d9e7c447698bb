"""From safe text to messages on Discord: pacing, splitting, the stage line, controls."""
