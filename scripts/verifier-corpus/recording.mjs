// The recordings: everything that a verifier needs to know of a load, and what the live kernel said to it. With them a
// verifier is judged without a kernel, a compiler or a loader.
//
// recordings/SET/OBJECT.jsonl has one JSON object a line, one line a test:
//
//     id           SET/OBJECT/PROGRAM
//     section, description, expect   the source's section name, and the expectations (expectations.mjs)
//     failed       set when the loader gave up before the program (no kernel function of that name, ...); nothing follows
//     descriptors  what the descriptors in `attr` and in its instructions mean, in the order of their making:
//                    { fd, kind: 'btf', bytes }
//                    { fd, kind: 'map', attr: MapCreateAttr, inner?: <a map of this list>, frozen, updates: [{ key, value, late? }] }
//                    { fd, kind: 'program', attr: ProgLoadAttr }     loaded before, as the test wants it
//                  attributes are those of src/bpf/bpf.ts, with descriptors as numbers; `updates` are the contents that
//                  the loader or the test set, in order (the value of `.rodata`, `.data`, `.kconfig`; slots), `late` those
//                  that came after the program (slots of programs, which hold a descriptor of the list or `fd`)
//     attr         ProgLoadAttr of the test; logLevel is the level that the test asks for, at least 1
//     fd           the descriptor that the program had, when it was accepted
//     priv         what the live kernel said with all capabilities that the test asks for (`capabilities`, by name):
//                    { accepted, errno, log, processed, totalStates, peakStates, fullLog?, cut?, stackDepth, milliseconds,
//                      retval?, runErrno?, xlated? }
//                  errno 0 when accepted; log at attr.logLevel (a long one cut at FULL_LOG, with its end in `tail`); fullLog at level 6 (every instruction, statistics), cut
//                  at a length of FULL_LOG (then `cut` is true); milliseconds of a load without a log, the best of some;
//                  retval of a run as the selftests run it; xlated the instructions as the kernel rewrote them
//     bpf          the same with CAP_BPF and CAP_NET_ADMIN alone: pointers must not leak, speculation is followed
//     unpriv       the same without all four; only where the machine lets unprivileged processes load programs
//
// Bytes are { $: base64 }, from 256 bytes on { $blob: NAME } (a file of recordings/blobs); 64-bit numbers { $n: decimal }.
// recordings/kernel.json: { release, cpus, lacking, btf: { $blob }, clang, sources, recorded } of the machine; attachBtfId, kernel functions
// and CO-RE refer to that BTF.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { blobs, recordings } from './places.mjs';

/** Characters of a full log that are kept. */
export const FULL_LOG = 400_000;
const INLINE = 256;

function storeBytes(bytes) {
  if (bytes.length < INLINE) return { $: Buffer.from(bytes).toString('base64') };
  const name = createHash('sha256').update(bytes).digest('hex').slice(0, 24);
  const file = path.join(blobs, name);
  if (!existsSync(file)) {
    mkdirSync(blobs, { recursive: true });
    writeFileSync(file, bytes);
  }
  return { $blob: name };
}

/** A plain copy of `value` for JSON. */
export function pack(value) {
  if (value instanceof Uint8Array) return storeBytes(value);
  if (typeof value === 'bigint') return { $n: String(value) };
  if (Array.isArray(value)) return value.map(pack);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, pack(member)]));
}

const loaded = new Map();
function blob(name) {
  let bytes = loaded.get(name);
  if (bytes === undefined) {
    bytes = new Uint8Array(readFileSync(path.join(blobs, name)));
    loaded.set(name, bytes);
  }
  return bytes;
}

/** JSON as `pack` made it, with bytes and 64-bit numbers again. The same blob is the same array. */
export const unpack = (text) =>
  JSON.parse(text, (_, value) => {
    if (value === null || typeof value !== 'object') return value;
    if ('$' in value) return new Uint8Array(Buffer.from(value.$, 'base64'));
    if ('$blob' in value) return blob(value.$blob);
    return '$n' in value ? BigInt(value.$n) : value;
  });

const fileOf = (set, object) => path.join(recordings, set, `${object}.jsonl`);

export function writeRecordings(set, object, tests) {
  mkdirSync(path.join(recordings, set), { recursive: true });
  writeFileSync(fileOf(set, object), tests.map((test) => `${JSON.stringify(pack(test))}\n`).join(''));
}

/** Names of the objects of a set. */
export function recordedObjects(set) {
  const folder = path.join(recordings, set);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => name.slice(0, -'.jsonl'.length))
    .sort();
}

export const recordedSets = () =>
  existsSync(recordings)
    ? readdirSync(recordings, { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && entry.name !== 'blobs')
        .map(({ name }) => name)
    : [];

/** The tests of one object. */
export const readRecordings = (set, object) =>
  readFileSync(fileOf(set, object), 'utf8').split('\n').filter(Boolean).map(unpack);

export const writeKernel = (facts) =>
  writeFileSync(path.join(recordings, 'kernel.json'), `${JSON.stringify(pack(facts), null, 2)}\n`);
export const readKernel = () => unpack(readFileSync(path.join(recordings, 'kernel.json'), 'utf8'));
