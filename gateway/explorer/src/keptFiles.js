/** Files of uploads under way, kept in the browser so that a reload goes on. */

const NAME = 'torana-uploads';
const FILES = 'files';
/** Larger files would be copied for too long: they are chosen again after a reload. */
const LARGEST = 256 * 1024 * 1024;

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(FILES);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function run(mode, work) {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const request = work(database.transaction(FILES, mode).objectStore(FILES));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } finally {
    database.close();
  }
}

/** What fails here only means that the file is chosen again. */
const quietly = (work) => work.catch(() => undefined);

export const keepFile = (key, file) =>
  file.size > LARGEST ? Promise.resolve() : quietly(run('readwrite', (files) => files.put(file, key)));
export const keptFile = (key) => quietly(run('readonly', (files) => files.get(key)));
export const dropFile = (key) => quietly(run('readwrite', (files) => files.delete(key)));
