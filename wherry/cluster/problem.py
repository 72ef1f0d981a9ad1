"""ClusterProblem: what a person must know or do before it can go on. The command line prints it as it is."""


class ClusterProblem(Exception):
    """The message names what was seen and what to do about it."""
