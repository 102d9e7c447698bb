"""The probes behind ``/diag network`` and ``clawbot check``, and their report. No Discord here.

A diagnosis is a list of probes (``probe``): ``walk`` lists those of one LM Studio in their order.
Each gives a ``Finding``; ``report`` shows the same findings on Discord, in a terminal and as JSON.
"""
