const last = { Job: null, Simulation: null, Phase: null, Submission: null, Leaderboard: null };

export const TYPES = Object.keys(last);

/** The type that a global id names. */
function typeOf(id) {
  try {
    return atob(id).split(':', 1)[0];
  } catch {
    return null;
  }
}

function note(value, found) {
  if (value === null || typeof value !== 'object') return;
  if (typeof value.id === 'string') {
    const type = typeOf(value.id);
    if (type in last && !(type in found)) found[type] = value.id;
  }
  for (const child of Object.values(value)) note(child, found);
}

/** Remembers the first row of each of these types in a response. */
export function noteIds(result) {
  const found = {};
  note(result?.data, found);
  Object.assign(last, found);
}

/** The id of the row of a type that was last seen; null for none yet. */
export const lastId = (type) => last[type];
