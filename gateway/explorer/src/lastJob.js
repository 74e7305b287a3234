let lastJobId = null;

function findJobId(value) {
  if (value === null || typeof value !== 'object') return null;
  if (typeof value.job?.id === 'string') return value.job.id;
  for (const child of Object.values(value)) {
    const id = findJobId(child);
    if (id) return id;
  }
  return null;
}

/** Remembers the job of a response, if it names one as `"job": {"id": ...}`. */
export function noteJob(result) {
  lastJobId = findJobId(result?.data) ?? lastJobId;
}

export const jobId = () => lastJobId;
