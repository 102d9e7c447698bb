"""A local LM Studio over real sockets: its routes, its timing, its failures."""

from sandbox.lmstudio.faults import Fault, FaultPlan
from sandbox.lmstudio.markup import FAMILIES
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
    "Answer",
    "Fault",
    "FaultPlan",
    "LMStudioSandbox",
    "Model",
    "Options",
    "RecordedRequest",
    "Timing",
    "ToolCall",
    "tokenize",
]
