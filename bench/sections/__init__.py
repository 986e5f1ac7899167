"""What can be measured, in the order of the page."""

from .batching import BATCHING
from .curves import CURVES
from .formats import FORMATS
from .large import LARGE
from .limits import DIGITS, TRIVIAL
from .memory import MEMORY
from .one_core import ENCODER, OVERLOAD
from .optimize import OPTIMIZE
from .others import OTHERS
from .plan import PLAN
from .swap import SWAP

__all__ = ["SECTIONS"]

SECTIONS = (TRIVIAL, DIGITS, PLAN, ENCODER, OVERLOAD, BATCHING, FORMATS, OTHERS, SWAP, MEMORY, LARGE, CURVES, OPTIMIZE)
