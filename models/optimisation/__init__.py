"""Planning and sharing as convex programs: the only place where solvers are called."""
