"""`python -m initdist.measures`: write the catalogue of measures, and in a checkout their docs, from the registry."""

import sys

from initdist.errors import ConfigError
from initdist.measures import MEASURES
from initdist.measures._documents import DOCS_FILE, catalogue, docs
from initdist.paths import measure_catalogue

try:
    MEASURES.check_own()
except ConfigError as error:
    sys.exit(f"initdist: {error}")
measure_catalogue().write_text(catalogue(), encoding="utf-8")
if DOCS_FILE.is_file():
    DOCS_FILE.write_text(docs(), encoding="utf-8")
