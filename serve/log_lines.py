"""The lines of the server's log on stderr: text for people, or one JSON object each for machines."""

import json
import logging
import sys
from datetime import datetime, timezone
from typing import Any

from tfs.serve.options import LogFormat

__all__ = ["configure_logging"]

# What a line may be about, as the engine's access lines name it.
_FIELDS = ("model", "version")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        # RFC 3339 in UTC with milliseconds, as in the engine's lines.
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "message": record.getMessage(),
        }
        line |= {field: getattr(record, field) for field in _FIELDS if hasattr(record, field)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logging(log_format: LogFormat) -> None:
    """Let this process write its log to stderr: from INFO on what tfs says, from WARNING on what libraries say."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format is LogFormat.JSON:
        handler.setFormatter(_JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-5s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("tfs").setLevel(logging.INFO)
