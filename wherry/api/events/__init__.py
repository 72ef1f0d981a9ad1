"""Events: what happened to an object, in both groups that serve them from one storage."""
