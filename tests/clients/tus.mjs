// Uploads a file with tus-js-client: stopped once in the middle if asked, then gone on with from what the client stored.
import { createReadStream } from 'node:fs';
import * as tus from 'tus-js-client';
import { given, tell } from './told.mjs';

const { url, headers, path, chunk, parallel, stop, metadata } = given;
const urlStorage = new tus.FileUrlStorage(`${path}.urls`);
const seen = [];

function upload(stopAt) {
  return new Promise((resolve, reject) => {
    const sending = new tus.Upload(createReadStream(path), {
      endpoint: `${url}/uploads`,
      headers,
      metadata,
      metadataForPartialUploads: metadata,
      chunkSize: chunk ?? Infinity,
      parallelUploads: parallel ?? 1,
      urlStorage,
      retryDelays: [0, 100, 300],
      onBeforeRequest: (request) => void seen.push(request.getMethod()),
      onProgress: (sent) => {
        if (stopAt && sent >= stopAt) sending.abort().then(() => resolve(null), reject);
      },
      onSuccess: () => resolve(sending.url),
      onError: reject,
    });
    sending.findPreviousUploads().then((before) => {
      if (before.length) sending.resumeFromPreviousUpload(before[0]);
      sending.start();
    }, reject);
  });
}

if (stop) await upload(stop);
const first = seen.length;
const place = await upload(0);
tell({ place, first: seen.slice(0, first), then: seen.slice(first) });
process.exit();
