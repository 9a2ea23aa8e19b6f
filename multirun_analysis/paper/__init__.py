"""The paper: the experiments behind each of its claims, trained and judged part by part, and the page that tells of
them. Above all other rooms: it runs the commands that a reader would, and reads the reports that they wrote."""
