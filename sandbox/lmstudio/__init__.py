"""A local LM Studio over real sockets: its routes, its timing, its failures."""

from sandbox.lmstudio.faults import Fault, FaultPlan
from sandbox.lmstudio.markup import FAMILIES, MarkupCase
from sandbox.lmstudio.markup_cases import MARKUP_CASES
from sandbox.lmstudio.prompt import text_of, turn_tokens
from sandbox.lmstudio.recorded_streams import RECORDED_STREAMS, RecordedStream
from sandbox.lmstudio.server import LMStudioSandbox
from sandbox.lmstudio.tokens import tokenize
from sandbox.lmstudio.values import (
    INSTANT,
    Answer,
    Model,
    Options,
    RecordedRequest,
    Timing,
    ToolCall,
)

__all__ = [
    "FAMILIES",
    "INSTANT",
    "MARKUP_CASES",
    "RECORDED_STREAMS",
    "Answer",
    "Fault",
    "FaultPlan",
    "LMStudioSandbox",
    "MarkupCase",
    "Model",
    "Options",
    "RecordedRequest",
    "RecordedStream",
    "Timing",
    "ToolCall",
    "text_of",
    "tokenize",
    "turn_tokens",
]
