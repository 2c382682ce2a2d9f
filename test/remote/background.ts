// Kernels in processes of their own, in a runtime directory of the test's own; ended with it, whatever happens.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { kernelPlace, kernelPlaces } from '../../src/node/run-directory.js';
import { dial } from '../../src/node/socket-channel.js';
import { RemoteKernel } from '../../src/remote/client.js';
import type { KernelStatus } from '../../src/remote/protocol.js';

export const root = path.resolve(import.meta.dirname, '../..');
export const main = path.join(root, 'dist/cli/main.js');

export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

export class Background implements AsyncDisposable {
  /** What XDG_RUNTIME_DIR is. */
  readonly directory = mkdtempSync(path.join(tmpdir(), 'skep-test-'));
  readonly #pids = new Set<number>();
  readonly #children = new Set<ChildProcess>();
  readonly #connected = new Set<RemoteKernel>();

  /** For `kernelPlace` in this process, too: one of these at a time. */
  constructor() {
    process.env.XDG_RUNTIME_DIR = this.directory;
    delete process.env.SKEP_KERNEL;
  }

  /** Starts a process of Node that belongs to this test. */
  spawn(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
    const child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', LC_ALL: 'C.UTF-8', ...env },
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** Runs `skep ...` to its end. */
  async skep(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
    return finished(this.spawn([main, ...args], env));
  }

  /** The standard output of a command that succeeds. */
  async output(...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.skep(args);
    if (status !== 0) throw new Error(`skep ${args.join(' ')}: status ${status}\n${stderr}`);
    return stdout;
  }

  /** Starts a kernel. */
  async start(name = 'default'): Promise<KernelStatus> {
    const status = JSON.parse(await this.output('kernel', 'start', '--kernel', name, '--json'));
    this.#pids.add(status.pid);
    return status;
  }

  /** What it holds; this question is one of its clients. */
  async status(name = 'default'): Promise<KernelStatus> {
    const kernel = await this.connect(name);
    try {
      return await kernel.control.status();
    } finally {
      kernel.close();
    }
  }

  /** A connection of this process to a kernel that runs. */
  async connect(name = 'default'): Promise<RemoteKernel> {
    const channel = await dial(kernelPlace(name).socket);
    if (typeof channel === 'string') throw new Error(`the kernel ${name} does not run: ${channel}`);
    const kernel = await RemoteKernel.connect(channel, { name: 'test', pid: process.pid });
    this.#connected.add(kernel);
    return kernel;
  }

  /** Ends what a test that failed has left. */
  endAll(but: RemoteKernel): void {
    for (const kernel of this.#connected) if (kernel !== but) kernel.close();
    for (const child of this.#children) child.kill('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    for (const { socket } of kernelPlaces()) {
      const channel = await dial(socket);
      if (typeof channel === 'string') continue;
      // What a test put there in place of a kernel is one of its children.
      const kernel = await RemoteKernel.connect(channel, { name: 'test', pid: process.pid }).catch(() => {});
      if (kernel) this.#pids.add(kernel.about.pid);
    }
    for (const pid of this.#pids) await ended(pid, 'SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
    delete process.env.XDG_RUNTIME_DIR;
  }
}

/** What a process printed, when it has ended. */
export async function finished(child: ChildProcess): Promise<Outcome> {
  const outcome: Outcome = { status: null, stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    outcome.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    outcome.stderr += text;
  });
  await new Promise((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', reject);
  });
  outcome.status = child.exitCode;
  return outcome;
}

/** A process that has ended is still there until its parent has asked for its status. */
const isZombie = (pid: number): boolean =>
  process.platform === 'linux' && /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));

const lives = (pid: number, signal: NodeJS.Signals | 0 = 0): boolean => {
  try {
    return process.kill(pid, signal) && !isZombie(pid);
  } catch {
    return false;
  }
};

/** Sends a signal to a process, and waits until there is no such process. */
export async function ended(pid: number, signal: NodeJS.Signals | 0 = 0): Promise<void> {
  lives(pid, signal);
  await until(() => !lives(pid));
}

/** Waits until something holds; that it ever does is the test, not when. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
