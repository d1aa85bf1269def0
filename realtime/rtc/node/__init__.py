"""The node: calls that outlive their connections, and the views of those who watch them."""
