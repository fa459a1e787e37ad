"""Models behind one interface: three operations, each a stream in and a stream out."""
