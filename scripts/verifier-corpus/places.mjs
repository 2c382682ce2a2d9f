// Where the corpus lies: in a cache outside the repository, because Linux's selftests are GPL-2.0.
//
//     linux-6.12/    what is needed of Linux's sources
//     include/       headers for clang: vmlinux.h of the running kernel, libbpf's
//     objects/SET/   compiled objects
//     recordings/    what was loaded and what the live kernel said (format: recording.mjs)

import { homedir } from 'node:os';
import path from 'node:path';

const cache = process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache');
export const root = process.env.SKEP_VERIFIER_CORPUS || path.join(cache, 'skep', 'verifier');
export const sources = path.join(root, 'linux-6.12');
export const selftests = path.join(sources, 'tools/testing/selftests/bpf');
export const include = path.join(root, 'include');
export const objects = path.join(root, 'objects');
export const recordings = path.join(root, 'recordings');
export const blobs = path.join(recordings, 'blobs');

export const fail = (message) => {
  console.error(message);
  process.exit(1);
};
