"""||theta|| <= R: the projection onto the ball around the origin."""

from initdist.stacks.constraints import init_ball

CENTRE = "origin"
scale = init_ball.scale
