"""What those ask of a model who spread it over several devices: FSDP through accelerate, `device_map`."""

from torch import nn

# The convolutions of speech encoders; and WavLM's first layer, which has the positions of all.
CALLED_IN_PARTS = ("Conv", "WavLM")


class Sharding:
    """For a `PreTrainedModel` around encoders of transformers, of which some say nothing, or name others' layers as well."""

    def post_init(self):
        """As always; and the layers that are not to be split are those that are there, and are called as a whole."""
        # Not above: this file may be imported in the midst of that one.
        from transformers.modeling_layers import GradientCheckpointingLayer

        super().post_init()
        names = {type(module).__name__ for module in self.modules() if isinstance(module, GradientCheckpointingLayer)}
        self._no_split_modules = {name for name in names if not any(part in name for part in CALLED_IN_PARTS)}

    def get_input_embeddings(self) -> nn.Module | None:
        """The embeddings of tokens; None where there are none."""
        if hasattr(self, "text_encoder"):
            return self.text_encoder.get_input_embeddings()
        try:
            return super().get_input_embeddings()
        except NotImplementedError:
            return None
