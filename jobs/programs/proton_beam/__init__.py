"""The built-in program: a proton beam in water."""
