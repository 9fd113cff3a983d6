"""Pure maths on arrays: no parameters, no state, no I/O."""
