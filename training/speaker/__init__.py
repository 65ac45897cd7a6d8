"""Speaker pretraining (Padi 2022)."""
