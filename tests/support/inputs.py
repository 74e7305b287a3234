"""Input files of the built-in program, small enough to run in a test."""

from gateway.commands.demo.beam import CYLINDER, WATER

BEAM = """RNDSEED  1234
JPART0   2
TMAX0    60.0 0.5
NSTAT    {primaries} 0
STRAGG   2
MSCAT    2
NUCRE    1
"""
SCORING = """Geometry Cyl
    Name Depth
    R 0 5 1
    Z 0 5 50

Output
    Filename depth.bdo
    Geo Depth
    Quantity Dose
"""


def files(primaries: int) -> dict[str, str]:
    return {"beam.dat": BEAM.format(primaries=primaries), "mat.dat": WATER, "geo.dat": CYLINDER, "detect.dat": SCORING}


FILES = files(100)
