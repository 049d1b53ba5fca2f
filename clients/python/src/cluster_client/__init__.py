"""A Cluster scheduler's client: submit jobs, follow them, read runs as rows."""
from ._wire import messages
from .client import Cluster
from .rows import flat, word

__all__ = ["Cluster", "flat", "messages", "word"]
