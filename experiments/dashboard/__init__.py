"""A live view of a run in a browser on the same machine: looks on while another process writes, and changes nothing."""
