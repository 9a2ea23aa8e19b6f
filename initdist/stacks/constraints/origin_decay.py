"""decay theta joins the gradient."""

CENTRE = "origin"
PULLS = True
