"""Write all native files of SHIELD-HIT12A."""

from jobs.programs.editor.model import Simulation
from jobs.programs.editor.omissions import Omissions
from jobs.programs.editor.shieldhit.beam import beam
from jobs.programs.editor.shieldhit.geometry import geometry
from jobs.programs.editor.shieldhit.materials import Media
from jobs.programs.editor.shieldhit.scoring import scoring
from jobs.programs.editor.values import NativeFile
from jobs.programs.editor.volumes import Volumes
from jobs.programs.editor.work import Work
from jobs.programs.shieldhit import names


def files(simulation: Simulation, work: Work) -> tuple[list[NativeFile], dict[str, str], list[str]]:
    """beam.dat, mat.dat, geo.dat and detect.dat; and the text of other files by name: names.json and what the project
    brings; and sentences on what is left out. Raises InputError with the path of what SHIELD-HIT12A can't express."""
    media = Media(simulation)
    dat, others = beam(simulation.beam, simulation.physics, simulation.modulator)
    omissions = Omissions()
    detect, called = scoring(simulation, media, omissions, Volumes(simulation.bodies, work))
    native = [dat, media.file, geometry(simulation, media, work), detect]
    return native, {**others, **media.tables, names.FILE: names.write(called)}, omissions.warnings
