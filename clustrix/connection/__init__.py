"""A command on the cluster whose stdin and stdout are a byte stream, and the requests that travel on it."""
