"""The members of a late fusion: trained models, and the runs of recipes that are trained first (ours)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate.utils import broadcast_object_list

from ...configuration.plain_text import join_words
from ...evaluation.comparison import find_runs
from ...evaluation.results import FILE as RESULTS
from ...evaluation.results import RunResults
from ...evaluation.sample_size import count_words
from ..arguments import DataArguments
from ..checkpoints import list_checkpoints
from ..planned_run import FINISHED, NEW, Log, Run, Show, find_state, finish_runs
from ..recipe import TRAINING, Recipe
from ..settings import field_types, flatten, read_settings

# Training arguments of the fusion that its members take over: they do not change a trained model.
TAKEN_OVER = (
    *("cache_dir", "disable_tqdm", "language", "license", "logging_steps", "project", "report_to"),
    *("dataloader_num_workers", "dataloader_persistent_workers", "dataloader_prefetch_factor"),
)
# Data arguments of the fusion that its members take over.
OF_CORPUS = ("corpus_root", "corpus_options", "label_map", "test_corpora", "dimension_scale", "text_column")


@dataclass(frozen=True)
class Member:
    """One member of a late fusion.

    Args:
        name: Its name in tables, the same in every fold.
        source: Folder or Hub id of a trained model; None for a checkpoint of `run`, which exists later.
        run: The run that trains it; None for a model that is trained already.
        checkpoint: Of a checkpoint, its number from the last, which is 1.
    """

    name: str
    source: str | None
    run: Run | None = None
    checkpoint: int | None = None

    def locate(self) -> str:
        """Return its folder or Hub id, now that its run is finished.

        Raises:
            ValueError: If the run has kept fewer checkpoints.
        """
        if self.source is not None:
            return self.source
        checkpoints = list_checkpoints(self.run.folder)
        if len(checkpoints) < self.checkpoint:
            raise ValueError(
                f"{self.run.folder} has kept {count_words(len(checkpoints), 'checkpoint')}, too few for member_checkpoints; "
                "remove that folder to train the run again, or name a recipe with another output_dir."
            )
        return str(checkpoints[-self.checkpoint])


def is_recipe(member: str) -> bool:
    """Return whether a member is named by its recipe."""
    return member.endswith((".yaml", ".yml"))


def plan_members(recipe: Recipe, place: str | None = None) -> list[Member]:
    """Return the members of a late fusion.

    A recipe is trained in the folder that `emofusion train` gives it, in a cross-validation in that of the same run of
    its own cross-validation; so a run is trained once for all systems that it belongs to.

    Args:
        recipe: The recipe, with `late_fusion`, `data` and `training`.
        place: Beginning of the names of the runs of a cross-validation, such as "fold-1-"; None outside.

    Raises:
        ValueError: If a recipe cannot be read, or names another corpus.
    """
    members = []
    for source in recipe.late_fusion.members:
        if is_recipe(source):
            members += _plan_recipe(recipe, source, place)
        else:
            members += [Member(Path(folder).name, folder) for folder in _list_runs(source)]
    names = [member.name for member in members]
    longer = [member.name if member.run else "/".join(Path(member.source).parts[-2:]) for member in members]
    for number, (member, name) in enumerate(zip(list(members), longer, strict=True)):
        if names.count(member.name) > 1:
            unique = name if longer.count(name) == 1 else f"{member.name}-{number}"
            members[number] = replace(member, name=unique)
    return members


def find_members(members: Sequence[Member], is_main: bool) -> dict[str, str]:
    """Return the state of each run of the members, by the name of the run, on every process."""
    states = {run.name: find_state(run) for run in list_runs(members)} if is_main else None
    return broadcast_object_list([states])[0]


def train_members(members: Sequence[Member], is_main: bool, log: Log | None, show: Show | None) -> None:
    """Train the runs of the members that are not finished, one after the other."""
    runs, states = list_runs(members), find_members(members, is_main)
    finish_runs(runs, [states[run.name] for run in runs], log, show)


def list_runs(members: Sequence[Member]) -> list[Run]:
    """Return the runs of the members, each once."""
    return list({str(member.run.folder): member.run for member in members if member.run is not None}.values())


def find_fusion_state(run: Run) -> str:
    """Return whether the late fusion of a run is finished: fitted, and all its members are finished too."""
    state = find_state(run)
    runs = list_runs(plan_members(run.recipe, place_of(run)))
    return state if all(find_state(member) == FINISHED for member in runs) else NEW


def place_of(run: Run) -> str:
    """Return the beginning of the names of the runs of a fold."""
    return run.name.removesuffix(f"seed-{run.seed}")


def _list_runs(source: str) -> list[str]:
    """Return the folders of the runs of a cross-validation, or the only folder or Hub id."""
    if not Path(source, RESULTS).is_file():
        return [source]
    return list(map(str, find_runs(source, RunResults.read(source))))


def _plan_recipe(recipe: Recipe, source: str, place: str | None) -> list[Member]:
    args, data = recipe.late_fusion, recipe.data
    given = recipe.given()
    settings = {name: given[name] for name in TAKEN_OVER if name in given}
    settings |= {"use_cpu": recipe.training.use_cpu} | {name: getattr(data, name) for name in OF_CORPUS}
    settings |= {"push_to_hub": False, **flatten(args.member_options)}
    if args.member_checkpoints:
        settings["save_total_limit"] = args.member_checkpoints + 1  # the best is kept besides the last
    _check_corpus(source, data)
    member = Recipe.read(source, TRAINING, **settings)
    if member.data.task not in (data.task, "multi_task"):
        raise ValueError(
            f"members names {source}, whose task is {member.data.task}, and that of the fusion is {data.task}; name recipes "
            "for its task, or for multi_task."
        )
    folder, members = Path(member.training.output_dir), []
    seeds = args.member_seeds or [member.training.seed if place is None else recipe.training.seed]
    for seed in seeds:
        name = folder.name if len(seeds) == 1 else f"{folder.name}-seed-{seed}"
        inner = f"{place or ''}seed-{seed}" if args.member_seeds or place is not None else ""
        own = member.replace(
            output_dir=str(folder / inner),
            seed=seed,
            run_name=f"{member.training.run_name or folder.name}{'-' * bool(inner)}{inner}",
        )
        run = Run(str(Path(folder.name, inner)), data.fold or 1, own)
        members += _list_members(name, run, args.member_checkpoints)
    return members


def _check_corpus(source: str, data: DataArguments) -> None:
    """Raise a `ValueError` if a recipe is for another corpus than the fusion, or has options of it that the fusion lacks."""
    settings = read_settings(source, field_types(TRAINING))
    corpora = settings.get("corpus", DataArguments.corpus)
    corpora = [corpora] if isinstance(corpora, str) else corpora
    if corpora != data.corpora:
        raise ValueError(
            f"members names {source}, whose corpus is {join_words(corpora)}, and that of the fusion is {data.corpus_name}; "
            "name recipes for one corpus."
        )
    own, given = (flatten(options or {}) for options in (settings.get("corpus_options"), data.corpus_options))
    known = {name.rpartition(".")[2] for name in given} | {"fold"}
    if lost := [name for name in own if name.rpartition(".")[2] not in known]:
        raise ValueError(f"{source} has corpus_options.{lost[0]}, which the fusion lacks; give it there too.")


def _list_members(name: str, run: Run, checkpoints: int | None) -> list[Member]:
    if not checkpoints:
        return [Member(name, str(run.folder), run)]
    return [
        Member(f"{name}-checkpoint-{checkpoints - number}", None, run, number + 1)
        for number in reversed(range(checkpoints))
    ]
