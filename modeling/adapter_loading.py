"""Loading adapters whole or not at all."""


class AdapterLoading:
    """For a `PreTrainedModel` that adapters are loaded into."""

    def load_adapter(self, *args, **kwargs):
        """As transformers', but a weight that is lost is an error.

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
