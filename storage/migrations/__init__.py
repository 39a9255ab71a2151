"""Creates the database and upgrades an older one to the present schema, with Alembic.

``forbear.storage.database`` calls it when a database is created or upgraded. Nothing else does.
"""

from __future__ import annotations

from importlib.resources import files

FOLDER = files(__name__)
"""Where Alembic's ``env.py`` and the revisions are."""


def revisions() -> tuple[str, ...]:
    """Returns all revisions, oldest first. Their files are numbered, so Alembic need not be loaded to know them."""
    names = (file.name for file in (FOLDER / "versions").iterdir())
    return tuple(sorted(name.partition("_")[0] for name in names if name[:1].isdigit()))
