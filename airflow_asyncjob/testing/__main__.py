"""Run a fake job server: ``python -m airflow_asyncjob.testing serve KIND``."""

import sys

from airflow_asyncjob.testing.serve import main

sys.exit(main())
