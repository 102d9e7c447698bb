"""Tests of the command line, the log and the metrics."""
