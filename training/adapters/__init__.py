"""LoRA adapters: adding, saving and merging them."""
