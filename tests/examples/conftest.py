"""The examples are scripts with packages beside them: tests import them as the scripts do."""

import sys

from tests.examples.running import EXAMPLES

sys.path.insert(0, str(EXAMPLES))
