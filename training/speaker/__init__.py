"""Speaker pre-training (Padi 2022)."""
