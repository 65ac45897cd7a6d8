"""`emofusion import-speaker`: turn the speaker network of another toolkit into one that emotion models start from."""

from .commands import Parser, yaml_value
from .output import announce, conclude


def run(argv: list[str]) -> None:
    """Import, and print where the network is."""
    parser = Parser("import-speaker", "Weights under the names of torchvision and WeSpeaker need no --names.")
    parser.add_argument("file", metavar="WEIGHTS.safetensors", help="weights of a ResNet; pickles are not opened")
    parser.add_argument("out", metavar="OUT", help="new folder, for model_name_or_path of a recipe")
    parser.add_argument(
        "--names",
        type=yaml_value,
        help="further names, which come first: a mapping of theirs to ours, such as '{stem.*: audio_encoder.stem.conv.*, "
        "gate.*: null}'; a * is one part of a name, and null leaves weights out",
    )
    parser.add_argument(
        "--model-config",
        type=yaml_value,
        default={},
        help="fields of SpeakerResNetConfig, such as '{embedding_size: 512}'",
    )
    arguments = parser.parse_args(argv)
    for name in ("names", "model_config"):
        if not isinstance(getattr(arguments, name), dict | None):
            parser.error(f"argument --{name.replace('_', '-')} is no mapping")

    from ..training.speaker.importing import NAMES, import_speaker_network

    since = announce(f"Importing {arguments.file}", arguments.out)
    own = arguments.names or {}
    names = {**own, **NAMES, **own}  # own names come first, for the first that fits counts
    model = import_speaker_network(arguments.file, arguments.out, names, arguments.model_config)
    holds = f"{arguments.out} holds the network, {model.num_parameters():,} parameters."
    command = f"emofusion train RECIPE.yaml --variant speaker_resnet --model_name_or_path {arguments.out}"
    conclude(f"Imported {arguments.file}", since, holds, [command])
