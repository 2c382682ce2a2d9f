// An emulated kernel whose clients are in this process too, but speak to it as those elsewhere do.

import { EmulatedKernel, type EmulatedKernelOptions } from '../../src/kernel/kernel.js';
import { type ByteChannel, channelPair } from '../../src/remote/channel.js';
import { RemoteKernel } from '../../src/remote/client.js';
import type { KernelControl } from '../../src/remote/protocol.js';
import { Client, type ServedKernel, type ServedProcess } from '../../src/remote/server.js';

export class KernelNextDoor implements ServedKernel {
  readonly about = { name: 'next door', pid: 1, version: 'test' };
  readonly kernel: EmulatedKernel;
  readonly clients = new Set<Client>();
  /** What it would have noted down. */
  readonly notes: string[] = [];
  #pid = 100;

  constructor(options: EmulatedKernelOptions = {}) {
    this.kernel = new EmulatedKernel(options);
  }

  process(task: { name: string; pid: number }): ServedProcess {
    const bpf = this.kernel.process(task);
    return { bpf, machine: this.kernel.surroundings, exit: () => bpf.exit() };
  }

  control(): KernelControl {
    const refuse = () => Promise.reject(new Error('there is no such command here'));
    return { status: refuse, stop: refuse, reset: refuse };
  }

  report(error: unknown, where: string): void {
    this.notes.push(`${where}: ${error}`);
  }

  /** A channel to it, whoever uses it. */
  dial(): { channel: ByteChannel; client: Client } {
    const [channel, far] = channelPair();
    const client = new Client(far, this, (gone) => this.clients.delete(gone));
    this.clients.add(client);
    return { channel, client };
  }

  /** A client that has been greeted. */
  async connect(name = 'test'): Promise<{ remote: RemoteKernel; client: Client } & Disposable> {
    const { channel, client } = this.dial();
    const remote = await RemoteKernel.connect(channel, { name, pid: this.#pid++ });
    return { remote, client, [Symbol.dispose]: () => remote.close() };
  }

  /** Objects that exist, whoever holds them. */
  async objects(): Promise<{ programs: number; maps: number; links: number; btf: number }> {
    const count = async (next: (id: number) => Promise<number>) => {
      let number = 0;
      for (let id = 0; ; number++) {
        const found = await next(id).catch(() => undefined);
        if (found === undefined) return number;
        id = found;
      }
    };
    const { kernel } = this;
    return {
      programs: await count((id) => kernel.progGetNextId(id)),
      maps: await count((id) => kernel.mapGetNextId(id)),
      links: await count((id) => kernel.linkGetNextId(id)),
      // The kernel's own types are always there.
      btf: (await count((id) => kernel.btfGetNextId(id))) - 1,
    };
  }
}
