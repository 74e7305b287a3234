"""How fast the gateway answers, beside other servers on the same data: `python -m bench`."""
