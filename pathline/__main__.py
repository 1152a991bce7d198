"""`python -m pathline` is the command `pathline`."""

from pathline.cli import app

app(prog_name="pathline")
