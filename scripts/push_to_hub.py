"""Publish a trained model: `python scripts/push_to_hub.py FOLDER OWNER/NAME [--public] [--dry-run]`; private by default."""

import argparse
import sys

from emofusion.hub.push import push_to_hub


def main() -> None:
    """Tell what leaves, send it, tell where it is and how it is loaded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", help="a trained model's folder")
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
    arguments = parser.parse_args()
    try:
        push_to_hub(
            arguments.folder,
            arguments.repo_id,
            private=not arguments.public,
            revision=arguments.revision,
            commit_message=arguments.commit_message,
            base_model=arguments.base_model,
            dry_run=arguments.dry_run,
        )
    except (OSError, ValueError) as error:
        sys.exit(f"push_to_hub.py: {error}")


if __name__ == "__main__":
    main()
