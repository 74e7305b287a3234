"""Convert projects of YAPTIDE's editor to SHIELD-HIT12A's native input, for a proton beam in water.

The result follows YAPTIDE's own converter (yaptide_converter 1), with one difference: what that drops in silence is
refused here.
"""

import math

from jobs.programs.editor.detectors import scoring
from jobs.programs.editor.geometry import MAX_LENGTH, media_and_geometry
from jobs.programs.editor.values import NativeFile, Value, plain
from jobs.programs.plan import InputError
from jobs.programs.shieldhit import names, native
from jobs.programs.shieldhit.cards import quoted

SEED = 89736501
"""The editor has no seed; YAPTIDE's converter always writes this one."""

_STRAGGLING = {"no straggling": 0, "Gaussian": 1, "Vavilov": 2}
_SCATTERING = {"no scattering": 0, "Gaussian": 1, "Moliere": 2}
_COMPONENT_KEYS = frozenset(("uuid", "name", "type", "metadata", "visible"))


def convert(project: object) -> dict[str, str]:
    """Native files (name -> text) of a decoded project, which `shieldhit.read` accepts, and names.json.

    Lengths are in cm, energies in MeV. Raises InputError, whose `file` is the path in the project, such as
    `beam.particle.id`, or "$" for the whole, and whose `line` is None.
    """
    root = Value(project)
    _no_components(root)
    mat, geo = media_and_geometry(root)
    detect, outputs = scoring(root)
    sources = {source.name: source for source in (_beam(root), mat, geo, detect)}
    files = {name: source.text() for name, source in sources.items()}
    files[names.FILE] = names.write(outputs)
    try:
        native.read(files)
    except InputError as error:
        raise sources[error.file].blame(error) from None
    return files


def _no_components(root: Value) -> None:
    """Refuse CT scans, beam modulators and other special components."""
    manager = root.option("specialComponentsManager") or Value({})
    for key, component in manager.members():
        if key not in _COMPONENT_KEYS:
            owner = component if key.isidentifier() and len(key) <= 40 else manager
            raise owner.error(f"found the special component {quoted(key)}; allowed are none")


def _beam(root: Value) -> NativeFile:
    beam = root.member("beam")
    _protons(beam)
    dat = NativeFile("beam.dat", "beam")
    energy = beam.member("energy")
    mean = energy.real(1.0, native.MAX_ENERGY)
    spread = beam.member("energySpread").real(0.0, mean)
    primaries = beam.member("numberOfParticles")
    count = primaries.integer(1, native.MAX_PRIMARIES)
    dat.add(beam.path, f"RNDSEED      {SEED}     ! random seed", "JPART0       2            ! protons")
    dat.add(energy.path, f"TMAX0        {plain(mean)} {plain(spread)}  ! energy and its spread (MeV)")
    _cuts(beam, mean, dat)
    dat.add(primaries.path, f"NSTAT        {count} 0  ! primaries")
    _physics(root.option("physic") or Value({}, "physic"), dat)
    position = beam.member("position")
    x, y, z = position.vector(MAX_LENGTH)
    dat.add(position.path, f"BEAMPOS      {plain(x)} {plain(y)} {plain(z)}  ! start of the beam (cm)")
    direction = beam.member("direction")
    theta, phi = _angles(direction)
    dat.add(direction.path, f"BEAMDIR      {plain(theta)} {plain(phi)}  ! theta and phi (degrees)")
    sigma = beam.member("sigma")
    dat.add(sigma.path, f"BEAMSIGMA    {_spot(sigma)}  ! shape and size (cm), by their signs")
    return dat


def _protons(beam: Value) -> None:
    """Refuse particles other than protons, and sources other than a parallel beam."""
    particle = beam.member("particle")
    for key, only in (("id", native.PROTON), ("a", 1), ("z", 1)):
        number = particle.member(key) if key == "id" else particle.option(key)
        if number and number.real(-1e6, 1e6) != only:
            raise number.error(f"found {number.found()}; allowed is {only} (protons)")
    for key, default in (("sourceType", "simple"), ("sad.type", "none")):
        section, _, last = key.rpartition(".")
        owner = beam.option(section) if section else beam
        kind = owner.option(last) if owner else None
        if kind and kind.value != default:
            raise kind.error(f"found {kind.found()}; allowed is {default}")
    if unit := beam.option("energyUnit"):
        unit.one_of(("MeV", "MeV/nucl"))
    if divergence := beam.option("divergence"):
        for key in ("x", "y", "distanceToFocal"):
            number = divergence.option(key)
            if number and number.real(-1e6, 1e6):
                raise number.error(f"found {number.found()}; allowed is 0, a parallel beam")


def _cuts(beam: Value, energy: float, dat: NativeFile) -> None:
    low, high = beam.option("energyLowCutoff"), beam.option("energyHighCutoff")
    lower = low.real(0.0, 1e6) if low else 0.0
    upper = high.real(0.0, 1e6) if high else 1e6
    if low and lower > energy:
        raise low.error(f"found {low.found()}; allowed are numbers up to the energy, {energy:g} MeV")
    if high and upper < energy:
        raise high.error(f"found {high.found()}; allowed are numbers from the energy, {energy:g} MeV")
    if low or high:
        dat.add(beam.path, f"TCUT0        {plain(lower)} {plain(upper)}  ! least and greatest energy (MeV)")


def _physics(physics: Value, dat: NativeFile) -> None:
    straggling = physics.option("energyModelStraggling")
    scattering = physics.option("multipleScattering")
    nuclear = physics.option("enableNuclearReactions")
    loss = physics.option("energyLoss")
    dat.add(
        physics.path,
        f"STRAGG       {straggling.choice(_STRAGGLING) if straggling else 2}  ! straggling: 0 off, 1 Gauss, 2 Vavilov",
        f"MSCAT        {scattering.choice(_SCATTERING) if scattering else 2}  ! scattering: 0 off, 1 Gauss, 2 Moliere",
        f"NUCRE        {int(nuclear.flag()) if nuclear else 1}  ! nuclear reactions: 0 off, 1 on",
        f"DELTAE       {plain(loss.real(1e-6, 0.5)) if loss else 0.03}  ! energy lost in a step, as a fraction",
    )


def _angles(direction: Value) -> tuple[float, float]:
    """Polar and azimuthal angle in degrees of a vector."""
    x, y, z = direction.vector(1e6)
    if not (x or y or z):
        raise direction.error("found [0, 0, 0]; allowed is a vector that points somewhere")
    phi = math.degrees(math.atan2(y, x))
    return math.degrees(math.atan2(math.hypot(x, y), z)), phi if phi >= 0 else phi + 360.0


def _spot(sigma: Value) -> str:
    """The two numbers of BEAMSIGMA, whose signs tell the shape."""
    shape = sigma.member("type").one_of(("Gaussian", "Flat square", "Flat circular"))
    if shape == "Gaussian":
        return f"{plain(sigma.member('x').real(0, MAX_LENGTH))} {plain(sigma.member('y').real(0, MAX_LENGTH))}"
    y = -sigma.member("y").real(1e-6, MAX_LENGTH)
    x = 1.0 if shape == "Flat circular" else -sigma.member("x").real(1e-6, MAX_LENGTH)
    return f"{plain(x)} {plain(y)}"
