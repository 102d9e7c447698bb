"""Random lives of the bot: what happens (``steps``), the bot in it (``life``), what is wrong (``verdict``).

``meeting`` has a few events about one question meet instead.
"""
