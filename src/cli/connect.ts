// The kernel that a command talks to: one that stays in a process of its own, started when there is none, or the real one.

import { fileURLToPath } from 'node:url';
import { SkepError } from '../base/error.js';
import type { Bpf } from '../bpf/bpf.js';
import type { Machine } from '../bpf/machine.js';
import { DEFAULT_KERNEL, type KernelPlace, kernelPlace } from '../node/run-directory.js';
import { type Absent, dial, type SocketChannel } from '../node/socket-channel.js';
import { KernelGone, KernelRefused, RemoteKernel } from '../remote/client.js';
import { type KernelOptions, type StartReport, usualOptions } from './kernel-options.js';

/** A kernel, as long as a command needs it. */
export interface Connection {
  readonly bpf: Bpf;
  /** What is around the emulated kernel; undefined for the real one. */
  readonly machine: Machine | undefined;
  /** Whether it is the kernel of this machine. */
  readonly linux: boolean;
  /** Closes every descriptor that was opened through it. */
  release(): Promise<void>;
}

/** The name for the kernel of this machine. */
export const LINUX = 'linux';

/** How long a kernel may take to say what it is, in milliseconds. */
const GREETING_TIME = 30_000;

/** What a command has to tell that its call failed, in milliseconds, before it is ended without. */
const TIME_TO_TELL = 200;

/** The kernel that is meant: `name`, else what SKEP_KERNEL says, else `default`. */
export const chosenKernel = (name: string | undefined): string =>
  name ?? (process.env.SKEP_KERNEL || DEFAULT_KERNEL);

/** Connects to a kernel by its name (chosenKernel), and starts it where it is not running. Throws a SkepError. */
export async function connectKernel(name?: string): Promise<Connection> {
  const chosen = chosenKernel(name);
  if (chosen === LINUX) return (await import('./connect-linux.js')).connectLinux();
  const { kernel } = await startedKernel(kernelPlace(chosen));
  let isReleased = false;
  // Who waits for a call hears of the end by that; who listens to a stream does not.
  void kernel.ended.then(() => {
    if (isReleased) return;
    setTimeout(() => {
      if (isReleased) return;
      process.stderr.write(`skep: the kernel \`${chosen}\` has ended\n`);
      process.exit(1);
    }, TIME_TO_TELL);
  });
  return {
    bpf: kernel.bpf,
    machine: kernel.machine,
    linux: false,
    release: async () => {
      isReleased = true;
      kernel.close();
    },
  };
}

/** Connects to a kernel that is running; undefined when there is none. */
export async function runningKernel(place: KernelPlace): Promise<RemoteKernel | undefined> {
  const answer = await dialed(place);
  return typeof answer === 'string' ? undefined : greeted(place, answer);
}

/** Connects to a kernel; starts it, and says so on standard error, where it is not running. */
export async function startedKernel(
  place: KernelPlace,
  options: KernelOptions = usualOptions,
): Promise<{ kernel: RemoteKernel; isNew: boolean }> {
  let isNew = false;
  // It may end between our seeing it and our talking to it.
  for (let attempt = 0; ; attempt++) {
    const answer = await dialed(place);
    if (typeof answer === 'string') {
      isNew = (await start(place, options)) || isNew;
      continue;
    }
    try {
      return { kernel: await greeted(place, answer), isNew };
    } catch (error) {
      if (!(error instanceof KernelGone) || attempt > 4) throw error;
    }
  }
}

async function dialed(place: KernelPlace): Promise<SocketChannel | Absent> {
  try {
    return await dial(place.socket);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') {
      throw new SkepError('its kernel is for another user', { where: place.socket, cause });
    }
    throw new SkepError(`the kernel \`${place.name}\` cannot be reached: ${message}`, { cause });
  }
}

async function greeted(place: KernelPlace, channel: SocketChannel): Promise<RemoteKernel> {
  let timer: NodeJS.Timeout | undefined;
  try {
    const patience = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(doesNotAnswer(place)), GREETING_TIME);
    });
    const greeting = RemoteKernel.connect(channel, { name: 'skep', pid: process.pid });
    return await Promise.race([greeting, patience]);
  } catch (cause) {
    if (!(cause instanceof KernelRefused)) {
      channel.destroy();
      throw cause;
    }
    const { version, pid } = cause.about ?? {};
    throw new SkepError(`the kernel \`${place.name}\` cannot be used: ${cause.message}`, {
      hint: pid
        ? `It is process ${pid}, of Skep ${version}. End it (kill ${pid}); the next command starts a new one.`
        : `Something else listens on ${place.socket}.`,
      cause,
    });
  } finally {
    clearTimeout(timer);
  }
}

const doesNotAnswer = ({ name, log }: KernelPlace): SkepError =>
  new SkepError(`the kernel \`${name}\` does not answer`, {
    hint: `It may be busy with a long run, or stopped. Its notes are in ${log}.`,
  });

/** The entry of its process: beside this module as it is built, or in the tree that it is built from. */
const entry = (): string => fileURLToPath(new URL('./kernel-process.js', import.meta.url));

/** Starts a kernel; false when somebody else was quicker. */
async function start(place: KernelPlace, options: KernelOptions): Promise<boolean> {
  const { startKernel } = await import('../node/start-kernel.js');
  const report = JSON.parse(await startKernel(place, entry(), options)) as StartReport;
  if (report.outcome === 'failed') {
    const { message, where, hint } = report;
    throw new SkepError(message, { where, hint });
  }
  if (report.outcome === 'present') return false;
  process.stderr.write(
    report.afterCrash
      ? `The kernel \`${place.name}\` had stopped; everything in it is gone. It was started again.\n`
      : `The kernel \`${place.name}\` was started.\n`,
  );
  return true;
}
