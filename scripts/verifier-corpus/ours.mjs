// Skep's verifier behind a recording: the descriptors of the recording become what the verifier asks of its environment.

import { Btf } from '../../dist/btf/index.js';
import { recordOf } from '../../dist/kernel/verifier/records.js';
import { readKernel as kernelFacts } from './recording.mjs';

/** Another module with a function `verify` may be judged in its place. */
const { verify } = await import(process.env.SKEP_VERIFY ?? '../../dist/kernel/verifier/verify.js');

/** Capabilities of a mode of the recordings. */
export const capabilitiesOf = (test, mode) => {
  const named = (name) => mode === 'priv' && test.capabilities.includes(name);
  return {
    bpf: mode === 'bpf' || named('CAP_BPF'),
    perfmon: named('CAP_PERFMON'),
    netAdmin: mode === 'bpf' || named('CAP_NET_ADMIN'),
    sysAdmin: named('CAP_SYS_ADMIN'),
  };
};

const facts = kernelFacts();
let kernelTypes;
const kernelBtf = () => {
  kernelTypes ??= Btf.parse(facts.btf);
  return kernelTypes;
};

const parsed = new WeakMap();
/** The same bytes are the same object in all recordings of a process. */
function parse(bytes) {
  let btf = parsed.get(bytes);
  if (btf === undefined) {
    btf = Btf.parse(bytes);
    parsed.set(bytes, btf);
  }
  return btf;
}

const MMAPABLE_READ_ONLY = 1 << 7;

function readerOf(value) {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  return (offset, size) => {
    if (offset < 0 || offset + size > value.length) return undefined;
    switch (size) {
      case 1:
        return BigInt(view.getUint8(offset));
      case 2:
        return BigInt(view.getUint16(offset, true));
      case 4:
        return BigInt(view.getUint32(offset, true));
      case 8:
        return view.getBigUint64(offset, true);
      default:
        return undefined;
    }
  };
}

function mapOf(entry, id, btfs) {
  const { attr, frozen = false, updates = [], inner } = entry;
  const btf = attr.btfFd === undefined ? undefined : btfs.get(attr.btfFd);
  const flags = attr.flags ?? 0;
  const typeId = attr.btfValueTypeId ?? 0;
  const record = btf && typeId ? recordOf(btf, typeId) : undefined;
  const value = updates.at(-1)?.value;
  const constant = frozen && (flags & MMAPABLE_READ_ONLY) !== 0 && value !== undefined;
  return {
    id,
    name: attr.name ?? '',
    type: attr.type,
    keySize: attr.keySize,
    valueSize: attr.valueSize,
    maxEntries: attr.maxEntries,
    flags,
    frozen,
    ...(attr.mapExtra === undefined ? {} : { mapExtra: attr.mapExtra }),
    ...(btf === undefined ? {} : { btf, btfKeyTypeId: attr.btfKeyTypeId ?? 0, btfValueTypeId: typeId }),
    ...(record === undefined ? {} : { record }),
    ...(inner === undefined ? {} : { inner: { ...mapOf(inner, id, btfs), name: '' } }),
    ...(constant ? { readConstant: readerOf(value) } : {}),
  };
}

/** { program, environment } of a test for `verify`; the log level is set by the caller. */
export function prepare(test, mode) {
  const btfs = new Map();
  const maps = new Map();
  for (const entry of test.descriptors) {
    if (entry.kind === 'btf') btfs.set(entry.fd, parse(entry.bytes));
    if (entry.kind === 'map') maps.set(entry.fd, mapOf(entry, entry.fd, btfs));
  }
  const { attr } = test;
  const program = {
    ...attr,
    flags: attr.flags ?? 0,
    expectedAttachType: attr.expectedAttachType ?? 0,
    name: attr.name ?? '',
  };
  const environment = {
    map: (fd) => maps.get(fd),
    btf: (fd) => btfs.get(fd),
    kernelTypes: kernelBtf,
    capabilities: capabilitiesOf(test, mode),
    cpus: facts.cpus,
    ...(facts.lacking === undefined ? {} : { lacking: facts.lacking }),
    logLevel: 0,
  };
  return { program, environment };
}

/** One verification; Verdict of src/kernel/verifier/program.ts and `milliseconds`. */
export function run({ program, environment }, logLevel) {
  const start = performance.now();
  const verdict = verify(program, { ...environment, logLevel });
  return { ...verdict, milliseconds: performance.now() - start };
}
