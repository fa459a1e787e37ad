"""``python -m pytest_lmeval.schema`` prints the schema's path; with ``--write`` it is generated anew first."""

from __future__ import annotations

import argparse

from pytest_lmeval.schema.generate import PATH, task_schema_text


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m pytest_lmeval.schema", description=__doc__)
    parser.add_argument("--write", action="store_true", help="generate the file from the code")
    if parser.parse_args().write:
        PATH.write_text(task_schema_text(), encoding="utf-8")
    print(PATH)


if __name__ == "__main__":
    main()
