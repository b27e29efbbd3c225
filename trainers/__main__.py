"""`python -m trainers …` is `zoo …`; `torchrun -m trainers …` runs it in several processes."""

import sys

from trainers.cli import main

sys.exit(main())
