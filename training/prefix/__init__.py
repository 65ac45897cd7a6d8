"""Cache of frozen prefixes: their outputs, computed once and memory-mapped."""
