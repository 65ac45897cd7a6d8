"""What transformers and peft need of a model to load adapters into it."""

from torch import nn


class AdapterLoading:
    """Beside `PreTrainedModel`, before it in the order of bases."""

    def get_input_embeddings(self) -> nn.Module:
        """The text encoder's, which peft compares with the tokenizer; nothing else is looked up by number."""
        encoder = getattr(self, "text_encoder", None)
        return super().get_input_embeddings() if encoder is None else encoder.get_input_embeddings()

    def load_adapter(self, *args, **kwargs):
        """As transformers', but whole or not at all.

        Raises:
            ValueError: if a weight is missing, or has no place. Older transformers do not find those of fusion and head.
        """
        info = super().load_adapter(*args, **kwargs)
        if lost := sorted(info.missing_keys | info.unexpected_keys):
            raise ValueError(
                f"{len(lost)} weights of the adapters were not loaded ({', '.join(lost[:3])}, ...): update transformers, or "
                "load the base model and then the adapters with peft.PeftModel.from_pretrained."
            )
        return info
