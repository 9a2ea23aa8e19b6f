"""`python -m initdist.measures`: write the catalogue of measures, and in a checkout their docs, from the registry."""

from initdist.measures._documents import DOCS_FILE, catalogue, docs
from initdist.paths import measure_catalogue

measure_catalogue().write_text(catalogue(), encoding="utf-8")
if DOCS_FILE.is_file():
    DOCS_FILE.write_text(docs(), encoding="utf-8")
