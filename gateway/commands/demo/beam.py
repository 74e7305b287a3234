"""Input files of the built-in program: a beam of protons in water."""

BEAM = """RNDSEED      4711             ! random seed
JPART0       2                ! protons
TMAX0        150.0 1.5        ! energy and its spread, MeV
NSTAT        {primaries} 0    ! primaries
STRAGG       2                ! energy straggling
MSCAT        2                ! multiple scattering
NUCRE        1                ! nuclear reactions
BEAMPOS      0 0 0
BEAMDIR      0.0 0.0
BEAMSIGMA    0.1 0.1          ! cm
DELTAE       0.03
"""
WATER = "MEDIUM 1\nICRU 276\nEND\n"
CYLINDER = """
    0    0          Proton beam in a water cylinder
  RCC    1       0.0       0.0       0.0       0.0       0.0      20.0
                 5.0
  RCC    2       0.0       0.0      -0.5       0.0       0.0      22.0
                 5.5
  RCC    3       0.0       0.0      -1.5       0.0       0.0      24.0
                 6.0
  END
  001          +1
  002          +2     -1
  003          -2     +3     -1
  END
    1    2    3
    1 1000    0
"""
SCORING = """Geometry Cyl
    Name Depth
    R 0 5 1
    Z 0 20 400

Geometry Mesh
    Name Plane
    X -0.25 0.25 1
    Y -2 2 40
    Z 0 20 100

Filter
    Name Protons
    Z == 1
    A == 1
Filter
    Name Primaries
    Z == 1
    A == 1
    GEN == 0

Output
    Filename depth.bdo
    Geo Depth
    Quantity Dose
    Quantity Fluence Protons
    Quantity Fluence Primaries

Output
    Filename plane.bdo
    Geo Plane
    Quantity Dose
"""


def beam_files(primaries: int) -> dict[str, str]:
    """Input of the built-in program: 150 MeV protons in water."""
    return {
        "beam.dat": BEAM.format(primaries=primaries),
        "mat.dat": WATER,
        "geo.dat": CYLINDER,
        "detect.dat": SCORING,
    }
