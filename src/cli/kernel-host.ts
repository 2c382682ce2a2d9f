// The emulated kernel that stays: one, for all who connect, until it is stopped or reset.

import type { Bpf } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { useModuleCompiler } from '../kernel/jit/compiler.js';
import { EmulatedKernel, type EmulatedKernelOptions } from '../kernel/kernel.js';
import { tieredCompiler } from '../node/tiers.js';
import type { ByteChannel } from '../remote/channel.js';
import type { About, KernelControl, KernelStatus, Task } from '../remote/protocol.js';
import { Client, type ServedKernel, type ServedProcess } from '../remote/server.js';
import type { KernelOptions } from './kernel-options.js';

export interface HostOptions {
  readonly about: About;
  readonly options: KernelOptions;
  /** Where it is, for those who ask. */
  readonly socket: string;
  readonly log: string;
  /** What it has to note down. */
  note(text: string): void;
  /** It was told to end. */
  stop(): void;
}

export class KernelHost implements ServedKernel {
  readonly about: About;
  readonly #host: HostOptions;
  readonly #clients = new Set<Client>();
  #kernel: EmulatedKernel;
  #since = performance.now();

  constructor(host: HostOptions) {
    useModuleCompiler(tieredCompiler);
    this.about = host.about;
    this.#host = host;
    this.#kernel = this.#make();
  }

  #make(): EmulatedKernel {
    const { cpus, engine, safety } = this.#host.options;
    const options: EmulatedKernelOptions = { cpus, engine, safety };
    return new EmulatedKernel(options);
  }

  accept(channel: ByteChannel): void {
    this.#clients.add(new Client(channel, this, (client) => this.#clients.delete(client)));
  }

  process({ name, pid }: Task): ServedProcess {
    const bpf = this.#kernel.process({ name, pid });
    return { bpf, machine: this.#kernel.surroundings, exit: () => bpf.exit() };
  }

  report(error: unknown, where: string): void {
    this.#host.note(`${where}: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
  }

  control(client: Client): KernelControl {
    return {
      status: () => this.#status(),
      stop: async () => this.#host.stop(),
      reset: () => this.#reset(client),
    };
  }

  async #status(): Promise<KernelStatus> {
    const { about, options, socket, log } = this.#host;
    const reader = this.#kernel.process({ name: 'status', pid: about.pid });
    try {
      let descriptors = 0;
      for (const client of this.#clients) descriptors += client.descriptors;
      return {
        ...about,
        uptime: (performance.now() - this.#since) / 1000,
        ...options,
        programs: await count(reader, 'progGetNextId'),
        maps: await count(reader, 'mapGetNextId'),
        links: await count(reader, 'linkGetNextId'),
        // The kernel's own types are not counted.
        btf: (await count(reader, 'btfGetNextId')) - 1,
        clients: this.#clients.size,
        descriptors,
        memory: process.memoryUsage.rss(),
        socket,
        log,
      };
    } finally {
      await reader.exit();
    }
  }

  async #reset(by: Client): Promise<void> {
    for (const client of this.#clients) if (client !== by) client.end();
    // Whoever asked hears that it is done; what it held was of the kernel before.
    setImmediate(() => by.end());
    this.#kernel = this.#make();
    this.#since = performance.now();
    this.#host.note('reset');
  }

  /** Ends every connection, and waits until what they had under way has come to its end. */
  async end(): Promise<void> {
    const clients = [...this.#clients];
    for (const client of clients) client.end();
    await Promise.all(clients.map(({ gone }) => gone));
  }

  get clients(): number {
    return this.#clients.size;
  }
}

async function count(
  kernel: Bpf,
  next: 'progGetNextId' | 'mapGetNextId' | 'linkGetNextId' | 'btfGetNextId',
): Promise<number> {
  let count = 0;
  try {
    for (let id = await kernel[next](0); ; id = await kernel[next](id)) count++;
  } catch (error) {
    if (!(error instanceof BpfError) || error.errno !== Errno.ENOENT) throw error;
    return count;
  }
}
