// The live kernel as the recorder needs it: bpf(2) with the verifier's whole log, also for programs that are accepted,
// and with capabilities of this thread switched off and on. Loads, test-runs, maps and BTF only; attaches nothing.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { BpfError, Errno } from '../../dist/bpf/errno.js';

const koffi = createRequire(import.meta.url)('koffi');
const libc = koffi.load(null);
const syscall = libc.func('long syscall(long number, long command, void *attr, unsigned long size)');
const closeFd = libc.func('int close(int fd)');
const capget = libc.func('int capget(void *header, void *data)');
const capset = libc.func('int capset(void *header, void *data)');

const mmap = libc.func(
  'intptr_t mmap(void *at, size_t length, int protection, int flags, int fd, long offset)',
);
const memset = libc.func('intptr_t memset(intptr_t at, int value, size_t length)');
const munmap = libc.func('int munmap(intptr_t at, size_t length)');

const SYS_BPF = { x64: 321, arm64: 280 }[process.arch];
const Command = {
  BPF_MAP_CREATE: 0,
  BPF_MAP_LOOKUP_ELEM: 1,
  BPF_MAP_UPDATE_ELEM: 2,
  BPF_PROG_LOAD: 5,
  BPF_PROG_TEST_RUN: 10,
  BPF_OBJ_GET_INFO_BY_FD: 15,
  BPF_BTF_LOAD: 18,
  BPF_MAP_FREEZE: 22,
};

/** Capabilities that the verifier asks for (<linux/capability.h>). */
export const Capability = { NET_ADMIN: 12, SYS_ADMIN: 21, PERFMON: 38, BPF: 39 };

const capabilityHeader = () => {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(0x20080522, 0);
  return header;
};

/** Runs `body` with these capabilities switched off; they come back afterwards. It must not wait for anything. */
export function without(capabilities, body) {
  const data = Buffer.alloc(24);
  if (capget(capabilityHeader(), data) !== 0) throw new Error('capget failed');
  const changed = Buffer.from(data);
  for (const bit of capabilities) {
    const at = bit < 32 ? 0 : 12;
    changed.writeUInt32LE((changed.readUInt32LE(at) & ~(1 << (bit & 31))) >>> 0, at);
  }
  if (capset(capabilityHeader(), changed) !== 0) throw new Error('capset failed');
  try {
    return body();
  } finally {
    if (capset(capabilityHeader(), data) !== 0) {
      console.error('The capabilities of this process did not come back.');
      process.exit(1);
    }
  }
}

/** Attributes of a command: 32- and 64-bit fields and pointers by offset. Lives as long as the call. */
class Attributes {
  bytes = Buffer.alloc(168);
  kept = [];
  u32(at, value) {
    if (value) this.bytes.writeUInt32LE(value >>> 0, at);
    return this;
  }
  u64(at, value) {
    if (value) this.bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), at);
    return this;
  }
  pointer(at, bytes) {
    if (!bytes?.length) return this;
    this.kept.push(bytes);
    this.bytes.writeBigUInt64LE(koffi.address(bytes), at);
    return this;
  }
  name(at, name) {
    if (name) this.bytes.write(name.slice(0, 15), at);
    return this;
  }
}

/** The result, 0 or more, or a negative errno. */
const call = (command, attr) => {
  const result = syscall(SYS_BPF, Command[command], attr.bytes, attr.bytes.length);
  return result < 0 ? -koffi.errno() : result;
};

const checked = (command, attr) => {
  const result = call(command, attr);
  if (result < 0) throw new BpfError(command, -result);
  return result;
};

export const close = (fd) => closeFd(fd);

export function mapCreate(attr) {
  return checked(
    'BPF_MAP_CREATE',
    new Attributes()
      .u32(0, attr.type)
      .u32(4, attr.keySize)
      .u32(8, attr.valueSize)
      .u32(12, attr.maxEntries)
      .u32(16, attr.flags)
      .u32(20, attr.innerMapFd)
      .u32(24, attr.numaNode)
      .name(28, attr.name)
      .u32(48, attr.btfFd)
      .u32(52, attr.btfKeyTypeId)
      .u32(56, attr.btfValueTypeId)
      .u32(60, attr.btfVmlinuxValueTypeId)
      .u64(64, attr.mapExtra),
  );
}

/**
 * Maps an arena of so many pages into this process, as libbpf does on loading: programs are refused before. Returns what
 * undoes it. `occupied`: the object has variables there, which take the first page. The addresses that programs see differ from run to run where the map does not name them.
 */
export function mapArena(fd, pages, occupied) {
  const length = pages * 4096;
  // PROT_READ | PROT_WRITE, MAP_SHARED
  const at = mmap(null, length, 3, 1, fd, 0);
  if (occupied) memset(at, 0, 1);
  return () => void munmap(at, length);
}

const element = (map, key, value, flags) =>
  new Attributes().u32(0, map).pointer(8, key).pointer(16, value).u64(24, flags);

export const mapUpdateElem = (map, key, value, flags) =>
  void checked('BPF_MAP_UPDATE_ELEM', element(map, key, value, flags));

export const mapFreeze = (map) => void checked('BPF_MAP_FREEZE', new Attributes().u32(0, map));

export const btfLoad = (bytes) =>
  checked('BPF_BTF_LOAD', new Attributes().pointer(0, bytes).u32(16, bytes.length));

/** A log longer than this is kept in part: its beginning and its end. */
const LONGEST = 1 << 22;
/** BPF_LOG_FIXED: a log that does not fit keeps its beginning, not its end. */
const FIXED = 8;

const textOf = (log) => {
  const end = log.indexOf(0);
  return log.toString('utf8', 0, end < 0 ? log.length : end);
};

/**
 * One load: { fd or -errno, log, tail?, milliseconds }. The log buffer grows until the log fits; of a very long one `log`
 * is the beginning and `tail` the end.
 */
export function progLoad(attr, level) {
  const license = Buffer.from(`${attr.license}\0`);
  const bytes = new Attributes()
    .u32(0, attr.type)
    .u32(4, attr.instructions.length / 8)
    .pointer(8, attr.instructions)
    .pointer(16, license)
    .u32(40, attr.kernelVersion)
    .u32(44, attr.flags)
    .name(48, attr.name)
    .u32(64, attr.ifindex)
    .u32(68, attr.expectedAttachType)
    .u32(72, attr.progBtfFd)
    .u32(108, attr.attachBtfId)
    .u32(112, attr.attachProgFd ?? attr.attachBtfObjFd);
  if (attr.funcInfo?.length)
    bytes
      .u32(76, 8)
      .pointer(80, attr.funcInfo)
      .u32(88, attr.funcInfo.length / 8);
  if (attr.lineInfo?.length)
    bytes
      .u32(92, 16)
      .pointer(96, attr.lineInfo)
      .u32(104, attr.lineInfo.length / 16);
  if (attr.fdArray?.length) bytes.pointer(120, Buffer.from(Int32Array.from(attr.fdArray).buffer));
  /** The kernel says how long the log would have been, even when it did not fit. */
  const once = (size, flags) => {
    const log = Buffer.alloc(size);
    if (level) {
      bytes.bytes.writeUInt32LE(level | flags, 24);
      bytes.bytes.writeUInt32LE(size, 28);
      bytes.pointer(32, log);
    }
    const start = process.hrtime.bigint();
    const fd = call('BPF_PROG_LOAD', bytes);
    const milliseconds = Number(process.hrtime.bigint() - start) / 1e6;
    return { fd, log, milliseconds, wanted: bytes.bytes.readUInt32LE(140) };
  };
  const plain = ({ fd, log, milliseconds }) => ({ fd, log: textOf(log), milliseconds });
  if (!level) return plain(once(0, 0));
  const first = once(1 << 18, 0);
  if (first.fd !== -Errno.ENOSPC || first.wanted <= 1 << 18) return plain(first);
  if (first.wanted <= LONGEST) return plain(once(first.wanted, 0));
  // Whether it is accepted is only told with a log that fits, or without one.
  const log = textOf(once(LONGEST, FIXED).log);
  level = 0;
  bytes.bytes.fill(0, 24, 40);
  const { fd, milliseconds } = once(0, 0);
  return { fd, log, tail: textOf(first.log), milliseconds };
}

/** As the selftests run a program: 64 zero bytes of packet, or nothing at all. { retval } or { errno }. */
export function testRun(fd, empty) {
  const packet = Buffer.alloc(64);
  const out = Buffer.alloc(256);
  const attr = new Attributes().u32(0, fd);
  if (!empty) attr.u32(8, packet.length).u32(12, out.length).pointer(16, packet).pointer(24, out).u32(32, 1);
  const result = call('BPF_PROG_TEST_RUN', attr);
  return result < 0 ? { errno: -result } : { retval: attr.bytes.readUInt32LE(4) };
}

/** The instructions as the kernel rewrote them (addresses blanked out by the kernel). */
export function xlated(fd) {
  const ask = (bytes) => {
    const info = Buffer.alloc(256);
    const inner = new Attributes();
    inner.bytes = info;
    if (bytes) inner.u32(20, bytes.length).pointer(32, bytes);
    const attr = new Attributes().u32(0, fd).u32(4, info.length).pointer(8, info);
    checked('BPF_OBJ_GET_INFO_BY_FD', attr);
    return info.readUInt32LE(20);
  };
  const bytes = Buffer.alloc(ask(undefined));
  ask(bytes);
  return bytes;
}

export const possibleCpus = () => {
  const range = readFileSync('/sys/devices/system/cpu/possible', 'utf8').trim();
  return Number(range.split(/[-,]/).at(-1)) + 1;
};

const KPROBE = 2;
const LIRC_MODE2 = 20;
const instruction = (code, imm) => Buffer.from([code, 0, 0, 0, imm, 0, 0, 0]);
const EXIT = instruction(0x95, 0);

/** What this kernel was built without, of what others have (Lacking of src/kernel/verifier/program.ts). */
export function lacking() {
  const load = (type, first) => {
    const instructions = Buffer.concat([first, EXIT]);
    const result = progLoad({ type, instructions, license: 'GPL' }, 1);
    if (result.fd >= 0) close(result.fd);
    return result;
  };
  const helpers = Object.entries({ probe_write_user: 36, override_return: 58 })
    .filter(([, id]) => load(KPROBE, instruction(0x85, id)).log.includes('cannot use helper'))
    .map(([name]) => name);
  const lirc = load(LIRC_MODE2, instruction(0xb7, 0));
  return {
    dataSymbols: !/ [bBdD] init_task$/m.test(readFileSync('/proc/kallsyms', 'utf8')),
    helpers,
    programTypes: lirc.fd === -Errno.EINVAL && lirc.log === '' ? [LIRC_MODE2] : [],
  };
}

/** Whether a process without CAP_BPF may load programs at all. The recorder reads this setting and never changes it. */
export const unprivilegedAllowed = () =>
  readFileSync('/proc/sys/kernel/unprivileged_bpf_disabled', 'utf8').trim() === '0';
