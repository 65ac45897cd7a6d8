"""The rooms of the repository: an arrow leads from a room to the highest room that it may import."""

from .svg import Arrow, Box, Diagram

ROOMS = Diagram(
    "Rooms of emofusion: a room may import every room below it",
    {
        "scripts": Box(580, 20, "scripts/", "entry points for accelerate launch scripts/train.py", "room", 360),
        "cli": Box(580, 100, "cli/", "one file for each emofusion command", "room", 360),
        "benchmarks": Box(950, 180, "benchmarks/", "speed and memory, by section", "room", 260),
        "inference": Box(195, 260, "inference/", "tables of scores, windows over time, export", "room", 300),
        "recipes": Box(950, 260, "recipes/", "one YAML file for each run", "room", 260),
        "training": Box(580, 260, "training/", "recipe, run, trainer, cross-validation, search", "room", 360),
        "hub": Box(580, 340, "hub/", "bundle of code, model card, push", "room", 360),
        "evaluation": Box(580, 420, "evaluation/", "RunResults, predictions, statistics, pictures", "room", 360),
        "corpora": Box(465, 500, "corpora/", "datasets in one schema, folds", "room", 250),
        "metrics": Box(750, 500, "metrics/", "WA, UA, F1, calibration", "room", 210),
        "processing": Box(465, 580, "processing/", "media and text to tensors", "travels", 250),
        "modeling": Box(950, 580, "modeling/", "encoder, fusion, head, loss", "travels", 260),
        "configuration": Box(708, 660, "configuration/", "variants and modalities", "travels", 744),
    },
    [
        Arrow("scripts", "cli"),
        Arrow("cli", "training"),
        Arrow("cli", "inference", leave=0.1),
        Arrow("inference", "evaluation", enter=0.1),
        Arrow("cli", "benchmarks", leave=0.9, enter=0.1),
        Arrow("benchmarks", "recipes"),
        Arrow("benchmarks", "training", leave=0.1, enter=0.9),
        Arrow("training", "hub"),
        Arrow("hub", "evaluation"),
        Arrow("hub", "modeling", leave=0.95, enter=0.5),
        Arrow("evaluation", "corpora", leave=0.3),
        Arrow("evaluation", "metrics", leave=0.8),
        Arrow("corpora", "processing"),
        Arrow("processing", "configuration", enter=0.1734),
        Arrow("modeling", "configuration", enter=0.825),
    ],
    1110,
)
