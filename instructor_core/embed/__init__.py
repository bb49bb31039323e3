"""Embeddings of a file of any size: `python -m instructor_core.embed --help`.

The rows are cut into parts of about equal numbers of tokens (`job`). A part is read (`source`), embedded and written
whole or not at all (`parts`); what is there is not done again. Who works on which part is all in which one machine and
a Ray cluster (`cluster`) differ.
"""
