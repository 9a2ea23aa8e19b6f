"""decay (theta - theta_0) joins the gradient."""

CENTRE = "init"
PULLS = True
