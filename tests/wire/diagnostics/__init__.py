"""Diagnosis against real sockets."""
