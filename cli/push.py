"""`emofusion push`: publish a model, or the metric, on the Hugging Face Hub."""

from .commands import Parser


def run(argv: list[str]) -> None:
    """List the files, push them, and print where they are and how to load them."""
    parser = Parser("push", "A new repository is private, unless --public is given.")
    parser.add_argument(
        "folder", metavar="FOLDER", help="folder of a trained model, or of a metric, such as metrics/emotion_metrics"
    )
    parser.add_argument("repo_id", metavar="OWNER/NAME", help="repository on the Hub, created if it does not exist")
    parser.add_argument("--public", action="store_true", help="create a public repository, or push to one")
    parser.add_argument("--dry-run", action="store_true", help="list the files and their sizes, push nothing")
    parser.add_argument("--revision", default="main", metavar="BRANCH", help="branch, created if it does not exist")
    parser.add_argument("--commit-message", metavar="TEXT", help="first line of the commit message")
    parser.add_argument("--base-model", metavar="ID", help="Hub id of the base model, for adapters that name a folder")
    parser.add_argument("--metric", action="store_true", help="the folder is a metric, which becomes a Space")
    arguments = parser.parse_args(argv)
    if arguments.metric and arguments.base_model:
        parser.error("--base-model is for adapters: leave it out with --metric")
    options = {
        "private": not arguments.public,
        "revision": arguments.revision,
        "commit_message": arguments.commit_message,
        "dry_run": arguments.dry_run,
    }
    if arguments.metric:
        from ..hub.metric_page import push_metric

        push_metric(arguments.folder, arguments.repo_id, **options)
    else:
        from transformers.utils import logging

        from ..hub.push import push_to_hub

        logging.disable_progress_bar()  # of loading; an upload has a bar of its own
        push_to_hub(arguments.folder, arguments.repo_id, base_model=arguments.base_model, **options)
