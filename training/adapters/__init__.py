"""LoRA adapters: add, save and merge them."""
