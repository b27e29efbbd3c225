"""Questions about what was read: graphs told fact by fact, and stories in words."""

from tasks.questions import babi, graph_inference, graph_shortest_path, graph_traversal

__all__ = ["babi", "graph_inference", "graph_shortest_path", "graph_traversal"]
