"""Publish a model or the metric: `python scripts/push_to_hub.py FOLDER OWNER/NAME [--dry-run]`; private unless `--public`."""

import argparse
import sys

from emofusion.hub.metric_page import push_metric
from emofusion.hub.push import push_to_hub


def main() -> None:
    """Tell what leaves, send it, tell where it is and how it is loaded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", help="a trained model's folder, or metrics/emotion_metrics")
    parser.add_argument("repo_id", metavar="OWNER/NAME", help="repository on the Hub, made if it is not there")
    parser.add_argument(
        "--public", action="store_true", help="let everybody see a new repository, or add to a public one"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="tell what would leave and how large it is, send nothing"
    )
    parser.add_argument("--revision", default="main", metavar="BRANCH", help="branch, made if it is not there")
    parser.add_argument("--commit-message", metavar="TEXT", help="first line of the commit")
    parser.add_argument("--base-model", metavar="ID", help="repository of the base of adapters that name a folder")
    parser.add_argument("--metric", action="store_true", help="the folder is that of a metric, and becomes its page")
    arguments = parser.parse_args()
    if arguments.metric and arguments.base_model:
        parser.error("a metric has no base model")
    options = {
        "private": not arguments.public,
        "revision": arguments.revision,
        "commit_message": arguments.commit_message,
        "dry_run": arguments.dry_run,
    }
    try:
        if arguments.metric:
            push_metric(arguments.folder, arguments.repo_id, **options)
        else:
            push_to_hub(arguments.folder, arguments.repo_id, base_model=arguments.base_model, **options)
    except (OSError, ValueError) as error:
        sys.exit(f"push_to_hub.py: {error}")


if __name__ == "__main__":
    main()
