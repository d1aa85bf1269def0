"""The node: calls that outlive their connections, and the connections to their viewers."""
