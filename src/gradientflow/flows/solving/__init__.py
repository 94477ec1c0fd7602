"""From a flow to its path, by diffrax."""
