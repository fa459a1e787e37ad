"""How often the gate's tests raise a false alarm, and what they see: by simulation."""
