import sys

from jobs.programs.proton_beam.simulation import main

sys.exit(main())
