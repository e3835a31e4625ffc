"""The rows of an SQL query (`NAME.sql.toml`), by SQLAlchemy (extra `formats`).

The file has `query`, and either `url` (SQLAlchemy's form) or `url_variable`, the environment
variable that holds it. Neither URL nor password appears in any message.
"""

import os
import tomllib
from pathlib import Path

from fedpact.data.readers.records import read_bytes, refuse
from fedpact.data.readers.table import Table, cell_text, columnar
from fedpact.types.layout import PLAIN

SUFFIX = ".sql.toml"


def read_database(path: Path) -> Table:
    """The query's rows. Raises DataError for a file without a query, a database that does not
    answer, or a query that fails."""
    try:
        fields = tomllib.loads(read_bytes(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        refuse(path, f"not TOML ({error})", error)
    query, variable = fields.get("query"), fields.get("url_variable")
    url = os.environ.get(variable) if isinstance(variable, str) else fields.get("url")
    if isinstance(variable, str) and not url:
        refuse(path, f"the environment variable {variable} is not set: set it to the URL")
    if not isinstance(query, str) or not isinstance(url, str):
        refuse(path, "it needs query, and url or url_variable")
    try:
        import sqlalchemy
        from sqlalchemy.exc import ArgumentError, SQLAlchemyError
    except ImportError as error:
        refuse(path, "reading a database needs SQLAlchemy: pip install 'fedpact[formats]'", error)
    try:
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            result = connection.execute(sqlalchemy.text(query))
            if not result.returns_rows:
                refuse(path, "its query returns no rows: it must be one SELECT")
            names, rows = list(result.keys()), result.fetchall()
    except ImportError as error:
        refuse(path, f"the database's driver {error.name} is not installed", error)
    except ArgumentError:
        refuse(path, "its url is not one of SQLAlchemy, such as postgresql://user@host/name")
    except SQLAlchemyError as error:
        # The driver's message may repeat the URL or values: only its kind is told.
        cause = type(getattr(error, "orig", None) or error).__name__
        refuse(path, f"the database refused the query ({cause}): run it in the database's client")
    columns = [[cell_text(row[place]) for row in rows] for place in range(len(names))]
    return columnar(path, "sql", names, columns, PLAIN)
