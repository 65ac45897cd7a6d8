"""The frozen-prefix cache: outputs of frozen parameters, computed once and memory-mapped."""
