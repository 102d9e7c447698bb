"""Diagnosis: what is judged from plain values."""
