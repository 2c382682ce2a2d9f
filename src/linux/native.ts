// bpf(2) itself: the C library's syscall(2) through koffi, which is an optional dependency.

import { createRequire } from 'node:module';
import { SkepError } from '../base/error.js';
import { BpfError, Errno, errnoName } from '../bpf/errno.js';
import { type AddressOf, attributes, Struct } from './attributes.js';

/** Commands (enum bpf_cmd) by the kernel's name. */
export const Command = {
  BPF_MAP_CREATE: 0,
  BPF_MAP_LOOKUP_ELEM: 1,
  BPF_MAP_UPDATE_ELEM: 2,
  BPF_MAP_DELETE_ELEM: 3,
  BPF_MAP_GET_NEXT_KEY: 4,
  BPF_PROG_LOAD: 5,
  BPF_PROG_TEST_RUN: 10,
  BPF_OBJ_GET_INFO_BY_FD: 15,
  BPF_BTF_LOAD: 18,
  BPF_MAP_FREEZE: 22,
} as const;
export type Command = keyof typeof Command;

/** The number of bpf(2) by processor (Node's name). */
const SYSCALL: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };

/** What the rest of this folder needs of the machine. */
export interface Native {
  /** The result of a command, 0 or more; a negative errno when it failed. */
  bpf(command: Command, attr: Uint8Array): number;
  close(fd: number): void;
  readonly address: AddressOf;
}

interface Koffi {
  load(path: string | null): { func(prototype: string): (...args: unknown[]) => number };
  address(value: unknown): bigint;
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
  const number = SYSCALL[process.arch];
  if (number === undefined) {
    throw new SkepError(`Linux's kernel is reached on x64 and arm64, and this is ${process.arch}`);
  }
  const koffi = loadKoffi();
  // Node's own C library, whichever it is.
  const libc = koffi.load(null);
  const syscall = libc.func('long syscall(long number, long command, void *attr, unsigned long size)');
  const close = libc.func('int close(int fd)');
  return {
    bpf(command, attr) {
      const result = syscall(number, Command[command], attr, attr.length);
      return result < 0 ? -koffi.errno() : result;
    },
    close(fd) {
      close(fd);
    },
    address: (bytes) => (bytes.length === 0 ? 0n : koffi.address(bytes)),
  };
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
  if (fd >= 0) {
    native.close(fd);
  } else if (fd === -Errno.EPERM) {
    throw new SkepError("Linux's kernel lets only root, or whoever has CAP_BPF, use BPF", {
      hint: 'Run this with sudo.',
      cause: new BpfError('BPF_MAP_CREATE', Errno.EPERM),
    });
  } else if (fd === -Errno.ENOSYS) {
    throw new SkepError('this kernel was built without BPF, or hides it from this process (errno ENOSYS)');
  } else {
    throw new SkepError(`this kernel refuses the simplest map (errno ${errnoName(-fd)})`);
  }
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
