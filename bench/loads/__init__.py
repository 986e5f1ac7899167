"""The load generators; each run gives one Sample, or fails."""

from .ghz import Arrivals, closed_loop, open_loop
from .h2load import Call, grpc_load, rest_load
from .in_process import CALLER, Plan, best_plan, in_process_load
from .sample import FailedRequestsError, MissingToolError, Sample, pinned, require_tool

__all__ = [
    "CALLER",
    "Arrivals",
    "Call",
    "FailedRequestsError",
    "MissingToolError",
    "Plan",
    "Sample",
    "best_plan",
    "closed_loop",
    "grpc_load",
    "in_process_load",
    "open_loop",
    "pinned",
    "require_tool",
    "rest_load",
]
