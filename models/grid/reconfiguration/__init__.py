"""Network reconfiguration: which branches of a feeder to open so that it loses least, at one moment or over a day."""
