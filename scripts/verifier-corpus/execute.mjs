// What the selftests' programs return in the emulated kernel, on both engines: maps and program are made anew from the
// recording, and run on 64 zero bytes as the live kernel ran it.

import { MapType, ProgType } from '../../dist/bpf/types.js';
import { Btf } from '../../dist/btf/index.js';
import { EmulatedKernel } from '../../dist/index.js';
import { kernelTypes } from '../../dist/kernel/types/index.js';
import { readKernel } from './recording.mjs';

const LD_IMM64 = 0x18;
/** BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE */
const MAP_SOURCES = new Set([1, 2]);
const CALL = 0x85;
/** BPF_PSEUDO_KFUNC_CALL */
const KFUNC = 2;
/** Ids of kernel functions in the recording's kernel become those of the emulated one. */
const recordedTypes = Btf.parse(readKernel().btf);
const emulatedTypes = await kernelTypes();
const functionId = (id) => emulatedTypes.findByName(recordedTypes.type(id).name, 'FUNC') ?? id;

const HOLDS_DESCRIPTORS = new Set([MapType.ProgArray, MapType.ArrayOfMaps, MapType.HashOfMaps]);

function withDescriptors(instructions, fds) {
  const bytes = instructions.slice();
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 8) {
    if (bytes[at] === CALL && bytes[at + 1] >> 4 === KFUNC) {
      view.setInt32(at + 4, functionId(view.getInt32(at + 4, true)), true);
    }
    if (bytes[at] !== LD_IMM64) continue;
    if (MAP_SOURCES.has(bytes[at + 1] >> 4)) {
      const fd = view.getInt32(at + 4, true);
      view.setInt32(at + 4, fds.get(fd) ?? fd, true);
    }
    at += 8;
  }
  return bytes;
}

const attributesOf = (attr, fds) => {
  const { innerMapFd, btfFd, progBtfFd, instructions, logLevel: _, ...rest } = attr;
  return {
    ...rest,
    ...(innerMapFd === undefined ? {} : { innerMapFd: fds.get(innerMapFd) }),
    ...(btfFd === undefined ? {} : { btfFd: fds.get(btfFd) }),
    ...(progBtfFd === undefined ? {} : { progBtfFd: fds.get(progBtfFd) }),
    ...(instructions === undefined ? {} : { instructions: withDescriptors(instructions, fds) }),
  };
};

async function makeMap(kernel, entry, fds) {
  const attr = attributesOf(entry.attr, fds);
  if (entry.inner) attr.innerMapFd = await makeMap(kernel, entry.inner, fds);
  const fd = await kernel.mapCreate(attr);
  await fill(kernel, fd, entry, fds, ({ late = false }) => !late && isThere(entry, fds));
  if (entry.frozen) await kernel.mapFreeze(fd);
  return fd;
}

const descriptorIn = (value) => new Int32Array(value.slice().buffer)[0];

/** Whether what a map's slots refer to has been made: programs come after the maps that they use. */
const isThere = (entry, fds) =>
  !HOLDS_DESCRIPTORS.has(entry.attr.type) ||
  (entry.updates ?? []).every(({ value, late }) => late || fds.has(descriptorIn(value)));

/** Sets the contents of a map that are wanted; slots of maps and programs hold descriptors. */
async function fill(kernel, fd, entry, fds, wanted) {
  for (const update of entry.updates ?? []) {
    if (!wanted(update)) continue;
    const { key, value } = update;
    const slot = HOLDS_DESCRIPTORS.has(entry.attr.type) ? fds.get(descriptorIn(value)) : undefined;
    await kernel.mapUpdateElem(
      fd,
      key,
      slot === undefined ? value : new Uint8Array(Int32Array.of(slot).buffer),
      0,
    );
  }
}

async function runOn(engine, test) {
  const kernel = new EmulatedKernel({ engine });
  const fds = new Map();
  const pending = [];
  for (const entry of test.descriptors) {
    if (entry.kind === 'btf') fds.set(entry.fd, await kernel.btfLoad(entry.bytes));
    if (entry.kind === 'map') {
      if (!isThere(entry, fds)) pending.push(entry);
      fds.set(entry.fd, await makeMap(kernel, entry, fds));
    }
    if (entry.kind === 'program') fds.set(entry.fd, await kernel.progLoad(attributesOf(entry.attr, fds)));
  }
  for (const entry of pending) await fill(kernel, fds.get(entry.fd), entry, fds, ({ late = false }) => !late);
  const fd = await kernel.progLoad(attributesOf(test.attr, fds));
  if (test.fd !== undefined) fds.set(test.fd, fd);
  for (const entry of test.descriptors) {
    if (entry.kind === 'map') await fill(kernel, fds.get(entry.fd), entry, fds, ({ late = false }) => late);
  }
  const { retval } = await kernel.progTestRun(
    fd,
    test.attr.type === ProgType.Syscall ? {} : { dataIn: new Uint8Array(64), repeat: 1 },
  );
  return retval >>> 0;
}

/** { jit, interpreter }: each { retval, same } or { failed }. */
export async function runEngines(test) {
  const expected = test.expect.priv.retval;
  const results = {};
  for (const engine of ['jit', 'interpreter']) {
    try {
      const retval = await runOn(engine, test);
      results[engine] = { retval, same: expected === 'any' || retval === test.priv.retval >>> 0 };
    } catch (error) {
      results[engine] = { failed: String(error.message ?? error).split('\n')[0] };
    }
  }
  return results;
}
