"""What those ask of a model who spread it over several devices: FSDP through accelerate, `device_map`."""

from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer


class Sharding:
    """For a `PreTrainedModel` around encoders of transformers, of which some say nothing, or name others' layers as well."""

    def post_init(self):
        """As always; and the layers that are not to be split are those that are there.

        The convolutions of speech encoders are none of them, for their parts are called one by one.
        """
        super().post_init()
        names = {type(module).__name__ for module in self.modules() if isinstance(module, GradientCheckpointingLayer)}
        self._no_split_modules = {name for name in names if "Conv" not in name}

    def get_input_embeddings(self) -> nn.Module | None:
        """The embeddings of tokens; None where there are none."""
        try:
            return super().get_input_embeddings()
        except NotImplementedError:
            return None
