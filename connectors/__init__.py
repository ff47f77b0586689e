"""Everything that reads another system, and the only code that ever sees an address or a word someone wrote.

A connector turns what a service says into Arrow tables of allow-listed fields (`connectors.records`) with pseudonyms
in place of people (`connectors.pseudonyms`). Nothing else leaves this package.
"""
