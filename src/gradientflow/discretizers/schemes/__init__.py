"""One-step maps: how a flow becomes an iteration."""
