// System calls: the C library's syscall(2) and its neighbours through koffi, which is an optional dependency.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { SkepError } from '../base/error.js';
import { BpfError, Errno, errnoName } from '../bpf/errno.js';
import { attributes } from './attributes.js';
import { type AddressOf, Struct } from './struct.js';

/** Commands (enum bpf_cmd) by the kernel's name. */
export const Command = {
  BPF_MAP_CREATE: 0,
  BPF_MAP_LOOKUP_ELEM: 1,
  BPF_MAP_UPDATE_ELEM: 2,
  BPF_MAP_DELETE_ELEM: 3,
  BPF_MAP_GET_NEXT_KEY: 4,
  BPF_PROG_LOAD: 5,
  BPF_OBJ_PIN: 6,
  BPF_OBJ_GET: 7,
  BPF_PROG_ATTACH: 8,
  BPF_PROG_DETACH: 9,
  BPF_PROG_TEST_RUN: 10,
  BPF_PROG_GET_NEXT_ID: 11,
  BPF_MAP_GET_NEXT_ID: 12,
  BPF_PROG_GET_FD_BY_ID: 13,
  BPF_MAP_GET_FD_BY_ID: 14,
  BPF_OBJ_GET_INFO_BY_FD: 15,
  BPF_PROG_QUERY: 16,
  BPF_RAW_TRACEPOINT_OPEN: 17,
  BPF_BTF_LOAD: 18,
  BPF_BTF_GET_FD_BY_ID: 19,
  BPF_TASK_FD_QUERY: 20,
  BPF_MAP_LOOKUP_AND_DELETE_ELEM: 21,
  BPF_MAP_FREEZE: 22,
  BPF_BTF_GET_NEXT_ID: 23,
  BPF_MAP_LOOKUP_BATCH: 24,
  BPF_MAP_LOOKUP_AND_DELETE_BATCH: 25,
  BPF_MAP_UPDATE_BATCH: 26,
  BPF_MAP_DELETE_BATCH: 27,
  BPF_LINK_CREATE: 28,
  BPF_LINK_UPDATE: 29,
  BPF_LINK_GET_FD_BY_ID: 30,
  BPF_LINK_GET_NEXT_ID: 31,
  BPF_ENABLE_STATS: 32,
  BPF_ITER_CREATE: 33,
  BPF_LINK_DETACH: 34,
  BPF_PROG_BIND_MAP: 35,
  BPF_TOKEN_CREATE: 36,
  BPF_PROG_STREAM_READ_BY_FD: 37,
} as const;
export type Command = keyof typeof Command;

/** Numbers of system calls by processor (Node's name). */
const numbers: Readonly<Record<string, { bpf: number; perfEventOpen: number }>> = {
  x64: { bpf: 321, perfEventOpen: 298 },
  arm64: { bpf: 280, perfEventOpen: 241 },
};

/** What the rest of this folder needs of the machine. Each gives 0 or more, or a negative errno when it failed. */
export interface Native {
  bpf(command: Command, attr: Uint8Array): number;
  perfEventOpen(attr: Uint8Array, pid: number, cpu: number): number;
  ioctl(fd: number, request: number, value: number): number;
  socket(domain: number, type: number, protocol: number): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array): number;
  send(fd: number, bytes: Uint8Array): number;
  recv(fd: number, bytes: Uint8Array): number;
  close(fd: number): void;
  /** Memory of a descriptor, shared with the kernel (MAP_SHARED); offset and length are whole pages. */
  mmap(fd: number, offset: number, length: number, writable: boolean): Mapping | number;
  /** Waits in a thread of its own; `fds` is struct pollfd[], `timeout` in milliseconds. */
  poll(fds: Uint8Array, count: number, timeout: number): Promise<number>;
  /** What a clock of clock_gettime(2) shows, in nanoseconds. */
  clock(id: Clock): bigint;
  /** Bytes. */
  readonly pageSize: number;
  readonly address: AddressOf;
}

/** `Boot` goes on while the machine sleeps. */
export const Clock = { Real: 0, Boot: 7 } as const;
export type Clock = (typeof Clock)[keyof typeof Clock];

/** Shared memory. After `unmap` nobody may touch the bytes. */
export interface Mapping {
  readonly bytes: ArrayBuffer;
  unmap(): void;
}

interface NativeFunction {
  (...args: unknown[]): number;
  async(...args: unknown[]): void;
}

interface Koffi {
  load(path: string | null): { func(prototype: string): NativeFunction };
  address(value: unknown): bigint;
  view(address: unknown, length: number): ArrayBuffer;
  errno(): number;
}

function loadKoffi(): Koffi {
  try {
    return createRequire(import.meta.url)('koffi') as Koffi;
  } catch (cause) {
    throw new SkepError("Linux's kernel is reached through the package koffi, which is not installed", {
      hint: 'npm install koffi',
      cause,
    });
  }
}

function open(): Native {
  if (process.platform !== 'linux') {
    throw new SkepError(`Linux's kernel is only on Linux, and this is ${process.platform}`, {
      hint: 'The emulated kernel runs everywhere.',
    });
  }
  const number = numbers[process.arch];
  if (number === undefined) {
    throw new SkepError(`Linux's kernel is reached on x64 and arm64, and this is ${process.arch}`, {
      hint: 'The emulated kernel runs everywhere.',
    });
  }
  const koffi = loadKoffi();
  // Node's own C library, whichever it is.
  const libc = koffi.load(null);
  const bpf = libc.func('long syscall(long number, long command, void *attr, unsigned long size)');
  const perfEventOpen = libc.func(
    'long syscall(long number, void *attr, long pid, long cpu, long group, unsigned long flags)',
  );
  const ioctl = libc.func('int ioctl(int fd, unsigned long request, long value)');
  const socket = libc.func('int socket(int domain, int type, int protocol)');
  const setsockopt = libc.func('int setsockopt(int fd, int level, int name, void *value, unsigned int size)');
  const send = libc.func('long send(int fd, void *bytes, size_t size, int flags)');
  const recv = libc.func('long recv(int fd, void *bytes, size_t size, int flags)');
  const close = libc.func('int close(int fd)');
  const mmap = libc.func(
    'void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset)',
  );
  const munmap = libc.func('int munmap(void *address, size_t length)');
  const poll = libc.func('int poll(void *fds, unsigned long count, int timeout)');
  const getpagesize = libc.func('int getpagesize()');
  const clockGettime = libc.func('int clock_gettime(int clock, void *time)');
  const checked = (result: number): number => (result < 0 ? -koffi.errno() : result);
  /** Closed with the process's other descriptors when it starts another program. */
  const PERF_FLAG_FD_CLOEXEC = 8;
  return {
    bpf: (command, attr) => checked(bpf(number.bpf, Command[command], attr, attr.length)),
    perfEventOpen: (attr, pid, cpu) =>
      checked(perfEventOpen(number.perfEventOpen, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC)),
    ioctl: (fd, request, value) => checked(ioctl(fd, request, value)),
    socket: (domain, type, protocol) => checked(socket(domain, type, protocol)),
    setsockopt: (fd, level, name, value) => checked(setsockopt(fd, level, name, value, value.length)),
    send: (fd, bytes) => checked(send(fd, bytes, bytes.length, 0)),
    recv: (fd, bytes) => checked(recv(fd, bytes, bytes.length, 0)),
    close(fd) {
      close(fd);
    },
    mmap(fd, offset, length, writable) {
      const [PROT_READ, PROT_WRITE, MAP_SHARED] = [1, 2, 1];
      const at: unknown = mmap(
        null,
        length,
        writable ? PROT_READ | PROT_WRITE : PROT_READ,
        MAP_SHARED,
        fd,
        offset,
      );
      // MAP_FAILED is -1.
      if (BigInt.asIntN(64, koffi.address(at)) === -1n) return -koffi.errno();
      return { bytes: koffi.view(at, length), unmap: () => void munmap(at, length) };
    },
    poll: (fds, count, timeout) =>
      new Promise((resolve, reject) => {
        poll.async(fds, count, timeout, (error: unknown, result: number) => {
          if (error) reject(error);
          else resolve(result < 0 ? -koffi.errno() : result);
        });
      }),
    clock(id) {
      const time = new BigInt64Array(2);
      clockGettime(id, time);
      return (time[0] ?? 0n) * 1_000_000_000n + (time[1] ?? 0n);
    },
    pageSize: getpagesize(),
    address: (bytes) => (bytes.length === 0 ? 0n : koffi.address(bytes)),
  };
}

/** What the machine says of BPF for others than root; undefined where it says nothing. */
export function unprivilegedBpf(): 'allowed' | 'forbidden' | 'forbidden until reboot' | undefined {
  try {
    const value = readFileSync('/proc/sys/kernel/unprivileged_bpf_disabled', 'utf8').trim();
    return value === '0' ? 'allowed' : value === '1' ? 'forbidden until reboot' : 'forbidden';
  } catch {
    return undefined;
  }
}

/** Fails with one sentence when this process may not use BPF. Makes an array of one element and drops it. */
function probe(native: Native): void {
  const attr = new Struct(attributes.mapCreate, native.address, {
    map_type: 2,
    key_size: 4,
    value_size: 4,
    max_entries: 1,
  });
  const fd = native.bpf('BPF_MAP_CREATE', attr.bytes);
  if (fd >= 0) native.close(fd);
  else throw refusal(-fd, process.getuid?.() === 0, unprivilegedBpf());
}

/** Why a kernel that answers the simplest map with `errno` cannot be used, and what to do. */
export function refusal(
  errno: number,
  root: boolean,
  unprivileged: ReturnType<typeof unprivilegedBpf>,
): SkepError {
  const cause = new BpfError('BPF_MAP_CREATE', errno);
  if (errno === Errno.EPERM && !root) {
    const setting =
      unprivileged === undefined || unprivileged === 'allowed'
        ? ''
        : ` (kernel.unprivileged_bpf_disabled is on, ${unprivileged})`;
    return new SkepError(`Linux's kernel lets only root, or whoever has CAP_BPF, use BPF${setting}`, {
      hint: 'Run this with sudo.',
      cause,
    });
  }
  if (errno === Errno.EPERM) {
    return new SkepError("Linux's kernel does not let this process use BPF, although it is root", {
      hint: 'In a container, give it the capabilities BPF, PERFMON and NET_ADMIN (docker run --privileged gives all) and a seccomp profile that allows bpf(2). Before Linux 5.11, also `ulimit -l unlimited`.',
      cause,
    });
  }
  if (errno === Errno.ENOSYS) {
    return new SkepError('this kernel was built without BPF, or hides it from this process (errno ENOSYS)', {
      hint: 'It needs CONFIG_BPF_SYSCALL, and in a container a seccomp profile that allows bpf(2).',
      cause,
    });
  }
  return new SkepError(`this kernel refuses the simplest map (errno ${errnoName(errno)})`, { cause });
}

let opened: Native | undefined;

/** The machine's bpf(2). Throws a SkepError that says what is missing: Linux, koffi, or the rights. */
export function native(): Native {
  if (!opened) {
    const found = open();
    probe(found);
    opened = found;
  }
  return opened;
}
