"""The engine: state, compiled steps, checkpoints, the loop and its reports. It knows no method."""
