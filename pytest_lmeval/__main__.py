"""``python -m pytest_lmeval COMMAND``."""

import sys

from pytest_lmeval.cli.main import main

sys.exit(main(sys.argv[1:]))
