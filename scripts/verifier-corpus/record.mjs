// Loads every test program on the live kernel by way of Skep's own loader, and records what crosses the waist and what
// the kernel says. One test is one load of its object, as in the selftests, because maps remember their programs.

import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { BpfError } from '../../dist/bpf/errno.js';
import { MapType, ProgType } from '../../dist/bpf/types.js';
import { Btf } from '../../dist/btf/index.js';
import { parseObject } from '../../dist/elf/index.js';
import { load, possibleTypes } from '../../dist/loader/index.js';
import { expectations } from './expectations.mjs';
import * as linux from './linux.mjs';
import { FULL_LOG } from './recording.mjs';

const { Capability } = linux;
/** Programs that take longer are loaded once only, and their full log would be huge. */
const SLOW = 300;
/** Characters of the end of a long log that are kept. */
const TAIL = 20_000;

export const kernelBtfBytes = new Uint8Array(readFileSync('/sys/kernel/btf/vmlinux'));
const facts = {
  kernelVersion: release().split('-')[0],
  kernelBtf: Btf.parse(kernelBtfBytes),
  kconfig: kconfig(),
  symbols: symbols(),
};

function kconfig() {
  try {
    return new TextDecoder().decode(
      process.getBuiltinModule('node:zlib').gunzipSync(readFileSync('/proc/config.gz')),
    );
  } catch {
    return '';
  }
}

function symbols() {
  const found = new Map();
  for (const line of readFileSync('/proc/kallsyms', 'utf8').split('\n')) {
    const [address, , name] = line.split(/\s/);
    if (name && !found.has(name)) found.set(name, BigInt(`0x${address}`));
  }
  return found;
}

/** What the line of statistics and those around it say. */
export function statistics(log) {
  const [, processed, totalStates, peakStates] =
    /^processed (\d+) insns \(limit \d+\) max_states_per_insn \d+ total_states (\d+) peak_states (\d+)/m.exec(
      log,
    ) ?? [];
  const stackDepth = /^stack depth (.*)$/m.exec(log)?.[1];
  return {
    ...(processed === undefined
      ? {}
      : { processed: Number(processed), totalStates: Number(totalStates), peakStates: Number(peakStates) }),
    ...(stackDepth === undefined ? {} : { stackDepth }),
  };
}

/** Whether a map of this type has a number of elements. */
const UNSIZED = new Set([
  MapType.SkStorage,
  MapType.InodeStorage,
  MapType.TaskStorage,
  MapType.CgrpStorage,
  MapType.CgroupStorage,
  MapType.PercpuCgroupStorage,
]);
const sized = (type) => !UNSIZED.has(type);

const HASHES = new Set([MapType.Hash, MapType.PercpuHash, MapType.LruHash, MapType.LruPercpuHash]);

/** The waist for the loader: passes everything on to the live kernel, and keeps it. */
class Recorder {
  descriptors = [];
  /** What unmaps an arena, by descriptor. */
  arenas = new Map();
  #dropped;
  #target;
  #prepare;
  #arenaVariables;
  /** `target`: the name of the program that is the test; `dropped`: capabilities that the test goes without. */
  constructor({ target, dropped, prepare, judge, arenaVariables }) {
    this.#arenaVariables = arenaVariables;
    this.#dropped = dropped;
    this.#target = target;
    this.#prepare = prepare;
    this.judge = judge;
  }
  #call(body) {
    return linux.without(this.#dropped, body);
  }
  #find(fd) {
    return this.descriptors.find((entry) => entry.fd === fd && !entry.closed);
  }
  async possibleCpus() {
    return linux.possibleCpus();
  }
  async btfLoad(bytes) {
    const fd = this.#call(() => linux.btfLoad(bytes));
    this.descriptors.push({ fd, kind: 'btf', bytes });
    return fd;
  }
  async mapCreate(asked) {
    let attr = asked;
    // How many elements there are is often set by the program that loads, which there is not here.
    if (!attr.maxEntries && sized(attr.type)) attr = { ...attr, maxEntries: 4096 };
    // Some loaders take the type of a ring buffer's records for documentation.
    if (attr.type === MapType.Ringbuf) attr = { ...attr, keySize: 0, valueSize: 0 };
    // The verifier does not look at how many entries a hash has, and the kernel allocates them all.
    if (HASHES.has(attr.type)) attr = { ...attr, maxEntries: Math.min(attr.maxEntries, 4096) };
    const fd = this.#call(() => linux.mapCreate(attr));
    const inner = attr.innerMapFd === undefined ? undefined : this.#find(attr.innerMapFd);
    const { closed: _, fd: _inner, ...template } = inner ?? {};
    if (attr.type === MapType.Arena && !attr.mapExtra)
      this.arenas.set(fd, linux.mapArena(fd, attr.maxEntries, this.#arenaVariables));
    this.descriptors.push({
      fd,
      kind: 'map',
      attr: { ...attr },
      ...(inner === undefined ? {} : { inner: template }),
      frozen: false,
      updates: [],
    });
    return fd;
  }
  async mapUpdateElem(fd, key, value, flags = 0) {
    this.#call(() => linux.mapUpdateElem(fd, key, value, flags));
    const late = this.attr === undefined ? {} : { late: true };
    this.#find(fd).updates.push({ key: key.slice(), value: value.slice(), ...late });
  }
  async mapFreeze(fd) {
    this.#call(() => linux.mapFreeze(fd));
    this.#find(fd).frozen = true;
  }
  async mapInfo() {
    throw new BpfError('BPF_OBJ_GET_INFO_BY_FD', 22, 'the recorder has no use for it');
  }
  async progLoad(attr) {
    if (attr.name === this.#target) {
      await this.#prepare?.(this);
      this.attr = { ...attr };
      return this.judge(this);
    }
    const { fd, log } = this.#call(() => linux.progLoad(attr, 1));
    if (fd < 0) throw new BpfError('BPF_PROG_LOAD', -fd, '', log);
    this.descriptors.push({ fd, kind: 'program', attr: { ...attr } });
    return fd;
  }
  async close(fd) {
    const found = this.#find(fd);
    if (found) found.closed = true;
    this.arenas.get(fd)?.();
    this.arenas.delete(fd);
    linux.close(fd);
  }
  /** What the recording keeps: those that still meant something when the test's program was loaded. */
  meaning() {
    return this.descriptors.filter(({ closed }) => !closed).map(({ closed: _, ...entry }) => entry);
  }
}

/** Loads with every log that is wanted; { answer, fd }. The descriptor is the caller's when the program is accepted. */
function judge(attr, dropped) {
  const loadAt = (level) => linux.without(dropped, () => linux.progLoad(attr, level));
  const close = (result) => {
    if (result.fd >= 0) linux.close(result.fd);
    return result;
  };
  let quiet = close(loadAt(0));
  const slow = quiet.milliseconds >= SLOW;
  for (let i = 0; i < 2 && quiet.milliseconds < 20; i++) {
    const next = close(loadAt(0));
    if (next.milliseconds < quiet.milliseconds) quiet = next;
  }
  const { fd, log, tail } = loadAt(attr.logLevel);
  const answer = { accepted: fd >= 0, errno: fd < 0 ? -fd : 0, log };
  if (tail !== undefined || log.length > FULL_LOG) {
    answer.log = log.slice(0, FULL_LOG);
    answer.tail = (tail ?? log).slice(-TAIL);
  }
  answer.milliseconds = Number(quiet.milliseconds.toFixed(4));
  if (slow) Object.assign(answer, statistics(answer.tail ?? log));
  else {
    const full = close(loadAt(6));
    const words = full.log.replace(/^verification time .*\n/m, '');
    answer.fullLog = words.slice(0, FULL_LOG);
    if (full.tail !== undefined || words.length > FULL_LOG) answer.cut = true;
    Object.assign(answer, statistics(full.tail ?? words));
  }
  return { answer, fd };
}

const ALL = [Capability.NET_ADMIN, Capability.SYS_ADMIN, Capability.PERFMON, Capability.BPF];
const nameOf = (bit) => `CAP_${Object.entries(Capability).find(([, value]) => value === bit)[0]}`;

/** struct test_val { u32 index; int foo[11] } with index 28 and foo[6] 0xabcdef12: what two of the tests find in a map. */
function testValue() {
  const value = new Uint8Array(48);
  const view = new DataView(value.buffer);
  view.setUint32(0, 28, true);
  view.setUint32(28, 0xabcdef12, true);
  return value;
}
const prepared = { verifier_array_access: 'map_array_ro', verifier_value_ptr_arith: 'map_array_48b' };

function preparation(object) {
  const map = prepared[object];
  if (map === undefined) return undefined;
  return async (recorder) => {
    const found = recorder.descriptors.find(
      ({ kind, attr }) => kind === 'map' && attr.name === map.slice(0, 15),
    );
    if (found) await recorder.mapUpdateElem(found.fd, new Uint8Array(4), testValue());
  };
}

/** Capabilities that the tests of an object go without (prog_tests/verifier.c). */
const droppedOf = (set, object) => {
  if (object === 'verifier_mtu') return [Capability.SYS_ADMIN, Capability.PERFMON];
  return set === 'verifier' ? [Capability.SYS_ADMIN] : [];
};

/** All tests of an object file, recorded. `btfOf` gives the BTF of another object by name, for CO-RE against that one. */
export async function recordObject(set, object, bytes, btfOf) {
  const spec = parseObject(bytes, { name: object });
  const expected = expectations(spec);
  const auxiliary = spec.programs.filter(({ name }) => expected.get(name).auxiliary).map(({ name }) => name);
  // A section name in the string table.
  const arenaVariables = bytes.includes('.addr_space.1');
  const tests = [];
  for (const program of spec.programs) {
    const expect = expected.get(program.name);
    if (expect.auxiliary) continue;
    const customBtf = expect.btfPath === undefined ? undefined : await btfOf(expect.btfPath);
    let recorded;
    for (const type of possibleTypes(program)) {
      const typed = { ...program, ...type, name: program.name };
      const test = await recordTest({
        ...{ set, object, spec, program, typed, expect, auxiliary, customBtf, arenaVariables },
      });
      const further = (test.priv?.processed ?? -1) > (recorded?.priv?.processed ?? -1);
      if (!recorded || further || test.priv?.accepted) recorded = test;
      if (test.priv?.accepted !== false) break;
    }
    tests.push(recorded);
  }
  return tests;
}

const withoutPrograms = ({ initialSlots, ...map }) => ({
  ...map,
  ...(initialSlots ? { initialSlots: initialSlots.filter(({ kind }) => kind === 'map') } : {}),
});

/** `typed`: the program with the type that it is loaded as. */
async function recordTest(asked) {
  const { set, object, spec, program, typed, expect, auxiliary, customBtf, arenaVariables } = asked;
  const dropped = droppedOf(set, object);
  const test = {
    id: `${set}/${object}/${program.name}`,
    section: program.section,
    ...(expect.description === undefined ? {} : { description: expect.description }),
    expect,
    capabilities: ALL.filter((bit) => !dropped.includes(bit)).map(nameOf),
  };
  const architectures = expect.architectures;
  if (architectures.length > 0 && !architectures.includes('X86_64')) {
    return { ...test, failed: `for ${architectures.join(', ')} only` };
  }
  const target = program.name.slice(0, 15).replace(/[^A-Za-z0-9_.]/g, '_');
  // With the same name in the kernel an auxiliary program would be taken for the test.
  const others = auxiliary.filter((name) => name !== program.name && name.slice(0, 15) !== target);
  let recorded;
  const recorder = new Recorder({
    target,
    dropped,
    arenaVariables,
    prepare: preparation(object),
    judge: (self) => {
      recorded = self.meaning();
      const { answer, fd } = judge(self.attr, dropped);
      test.priv = answer;
      const bpfOnly = [Capability.SYS_ADMIN, Capability.PERFMON];
      const only = judge(self.attr, bpfOnly);
      test.bpf = only.answer;
      if (only.fd >= 0) {
        test.bpf.xlated = linux.xlated(only.fd);
        linux.close(only.fd);
      }
      if (linux.unprivilegedAllowed()) {
        const none = judge(self.attr, ALL);
        test.unpriv = none.answer;
        if (none.fd >= 0) linux.close(none.fd);
      }
      if (fd < 0) throw new BpfError('BPF_PROG_LOAD', -fd, '', answer.log);
      return fd;
    },
  });
  const flagged = {
    ...spec,
    // Whole applications: nobody tells which of their programs wait for others, and the kernel takes a slot as it is.
    maps: set === 'real' ? spec.maps.map(withoutPrograms) : spec.maps,
    programs: spec.programs.map((one) =>
      one === program ? { ...typed, flags: typed.flags | expect.flags } : one,
    ),
  };
  let collection;
  let collected;
  try {
    collection = await load(flagged, recorder, {
      ...facts,
      ...(customBtf === undefined ? {} : { kernelBtf: customBtf }),
      name: object,
      programs: [...others, program.name],
      logLevel: expect.logLevel || 1,
    });
  } catch (error) {
    if (test.priv === undefined) return { ...test, failed: error.message };
  }
  if (collection) {
    const { fd } = collection.program(program.name);
    collected = fd;
    test.priv.xlated = linux.xlated(fd);
    if (expect.priv?.retval !== undefined && !expect.priv.fail) {
      const run = linux.testRun(fd, program.type === ProgType.Syscall);
      if (run.errno === undefined) test.priv.retval = run.retval;
      else test.priv.runErrno = run.errno;
    }
    await collection.close();
  }
  return {
    ...test,
    descriptors: recorded,
    attr: recorder.attr,
    ...(collected === undefined ? {} : { fd: collected }),
  };
}
