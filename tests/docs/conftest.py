"""Pages name options of the examples, whose packages lie beside their scripts."""

import sys

from tests.examples.running import EXAMPLES

sys.path.insert(0, str(EXAMPLES))
