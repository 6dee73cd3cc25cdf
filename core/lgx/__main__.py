"""`python -m lgx`, the same as `lgx`."""

from __future__ import annotations

import sys

from lgx.cli import main

sys.exit(main())
