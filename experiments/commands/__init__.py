"""The commands of `cosim`, a file for each group; none imports anything heavy before it is called."""
