"""Commands of the tiny plugin."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
def hello(name: str) -> int:
    """Greets NAME."""
    click.echo(f"hello {name}")
    return 7
