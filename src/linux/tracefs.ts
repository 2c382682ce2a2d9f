// tracefs, and in it a trace buffer of our own: an instance (Documentation/trace/ftrace.rst, "Instances") in which only
// the event of bpf_trace_printk is switched on. Reading its trace_pipe takes no line away from anybody else, and nobody
// takes one from us. Where tracefs is not mounted it is mounted for this process alone, at no path (fsopen(2)).

import { closeSync, constants, mkdirSync, openSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { BpfError, Errno } from '../bpf/errno.js';

const PLACES = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];

/** System calls: the same numbers on every processor. */
const FSOPEN = 430;
const FSCONFIG = 431;
const FSMOUNT = 432;
const CLOEXEC = 1;
const FSCONFIG_CMD_CREATE = 6;

interface Libc {
  func(prototype: string): (...args: unknown[]) => number;
}

/** A descriptor of a mount of tracefs that hangs nowhere; undefined when the kernel has no tracefs or refuses. */
function mountDetached(): number | undefined {
  const koffi = createRequire(import.meta.url)('koffi') as { load(path: string | null): Libc };
  const libc = koffi.load(null);
  const fsopen = libc.func('long syscall(long number, const char *type, unsigned int flags)');
  const fsconfig = libc.func(
    'long syscall(long number, int fd, unsigned int command, void *key, void *value, int aux)',
  );
  const fsmount = libc.func('long syscall(long number, int fd, unsigned int flags, unsigned int attributes)');
  const close = libc.func('int close(int fd)');
  const context = fsopen(FSOPEN, 'tracefs', CLOEXEC);
  if (context < 0) return undefined;
  try {
    if (fsconfig(FSCONFIG, context, FSCONFIG_CMD_CREATE, null, null, 0) < 0) return undefined;
    const mount = fsmount(FSMOUNT, context, CLOEXEC, 0);
    return mount < 0 ? undefined : mount;
  } finally {
    close(context);
  }
}

let found: string | undefined;

/** The folder of tracefs; throws a BpfError that says what is missing. */
export function tracefs(): string {
  found ??= PLACES.find(holdsInstances);
  if (found !== undefined) return found;
  const mount = mountDetached();
  // The descriptor stays open as long as the process: it is the mount.
  if (mount !== undefined) found = `/proc/self/fd/${mount}`;
  if (found !== undefined && holdsInstances(found)) return found;
  throw new BpfError(
    'trace_pipe',
    Errno.ENOSYS,
    `what programs print cannot be read: neither ${PLACES.join(' nor ')} is there for this user, and tracefs cannot be mounted`,
  );
}

function holdsInstances(place: string): boolean {
  try {
    return readdirSync(place).includes('instances');
  } catch {
    return false;
  }
}

const EVENT = 'events/bpf_trace/bpf_trace_printk/enable';
const PREFIX = 'skep-';
let count = 0;
let swept = false;

/** What a process that was killed has left behind. */
function sweep(instances: string): void {
  swept = true;
  const running = new Set(readdirSync('/proc'));
  for (const name of readdirSync(instances)) {
    const pid = /^skep-(\d+)-\d+$/.exec(name)?.[1];
    if (pid === undefined || running.has(pid)) continue;
    try {
      rmdirSync(`${instances}/${name}`);
    } catch {
      // Somebody else was quicker.
    }
  }
}

/** A trace buffer that has what programs print from now on, and nothing else; it goes when it is disposed of. */
export class TraceInstance implements Disposable {
  readonly #place: string;
  readonly #atExit = () => this[Symbol.dispose]();
  #there = true;
  #fd = -1;

  /** Throws a BpfError when there is no tracefs for this user, or no room for a buffer. */
  constructor() {
    const instances = `${tracefs()}/instances`;
    if (!swept) sweep(instances);
    this.#place = `${instances}/${PREFIX}${process.pid}-${++count}`;
    try {
      mkdirSync(this.#place);
      process.once('exit', this.#atExit);
      writeFileSync(`${this.#place}/${EVENT}`, '1');
      this.#fd = openSync(`${this.#place}/trace_pipe`, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (cause) {
      this[Symbol.dispose]();
      throw new BpfError(
        'trace_pipe',
        Errno.ENOSYS,
        `no trace buffer can be made in ${instances}: ${(cause as Error).message}`,
      );
    }
  }

  /** Its trace_pipe, open for reading; EAGAIN when there is nothing. */
  get pipe(): number {
    return this.#fd;
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#atExit);
    if (!this.#there) return;
    this.#there = false;
    // While somebody reads it, it stays.
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    try {
      rmdirSync(this.#place);
    } catch {
      // It was never made, or somebody else looks at it: the next process sweeps.
    }
  }
}
