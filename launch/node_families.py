"""Which families of nodes cannot be imported, and why, as JSON: what ``run.py doctor`` asks inside .venv."""

import json

from ..models.standalone_host import use_host


def main() -> None:
    use_host()
    from ..nodes import import_families

    print(json.dumps(import_families()[1]))


if __name__ == "__main__":
    main()
