"""The queue of questions: who is next, how much runs at once, who asks too often."""
