"""Serve the local LM Studio by hand: ``python -m sandbox.lmstudio --port 1234``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys

from sandbox.lmstudio.server import LMStudioSandbox
from sandbox.lmstudio.values import Model, Timing


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.lmstudio", description=__doc__)
    parser.add_argument("--port", type=int, default=1234, help="port on 127.0.0.1; 0 for any")
    parser.add_argument("--model", default="qwen/qwen3-next-80b", help="key of the one model")
    parser.add_argument("--context", type=int, default=8192, help="context length, in tokens")
    parser.add_argument("--parallel", type=int, default=4, help="slots")
    parser.add_argument("--speed", type=float, default=1.0, help="times faster than a mini PC")
    parser.add_argument("--token", default=None, help="require this API token")
    parser.add_argument("--answer", default=None, help="say this to everything")
    return parser.parse_args(argv)


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until cancelled."""
    model = Model(arguments.model, context_tokens=arguments.context, parallel=arguments.parallel)
    timing = Timing(speed=arguments.speed)
    async with LMStudioSandbox([model], timing, token=arguments.token, port=arguments.port) as lm:
        if arguments.answer:
            lm.answer(arguments.answer)
        sys.stdout.write(f"{lm.base_url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main(argv: list[str] | None = None) -> int:
    """Serve until Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(_arguments(argv)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
