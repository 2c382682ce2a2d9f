// The emulated kernel and that of this machine as the two sides of a comparison, and the captures' packets as inputs.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Kernel, RunInput } from '../../src/compare/index.js';
import { type CollectionSpec, parseObject } from '../../src/elf/index.js';
import type { EngineName } from '../../src/kernel/engine.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { readPackets } from '../../src/pcap/index.js';
import { onFirstCpu } from '../live/live.js';

export const root = path.join(import.meta.dirname, '../..');

export const readObject = (file: string): CollectionSpec =>
  parseObject(readFileSync(path.join(root, file)), { name: file });

let packets: Promise<RunInput[]> | undefined;

/** Every packet of examples/traffic.pcapng. */
export const traffic = (): Promise<RunInput[]> => {
  packets ??= readTraffic();
  return packets;
};

async function readTraffic(): Promise<RunInput[]> {
  const inputs: RunInput[] = [];
  for await (const block of readPackets([readFileSync(path.join(root, 'examples/traffic.pcapng'))])) {
    for (let i = 0; i < block.count; i++)
      inputs.push(xdpInput(block.data.slice(block.offsets[i], block.offsets[i + 1])));
  }
  return inputs;
}

/** A packet with its struct xdp_md, so that metadata and sizes are compared too. */
export function xdpInput(data: Uint8Array, rest: Omit<RunInput, 'data' | 'ctx'> = {}): RunInput {
  const ctx = new Uint8Array(24);
  new DataView(ctx.buffer).setUint32(4, data.length, true);
  return { data, ctx, ...rest };
}

export interface BothKernels extends Disposable {
  readonly emulated: Kernel;
  readonly linux: Kernel;
}

/** Both kernels, on the same CPU. */
export async function bothKernels(engine: EngineName = 'jit'): Promise<BothKernels> {
  const pinned = onFirstCpu();
  const kernel = new LinuxKernel();
  const cpus = await kernel.possibleCpus();
  return {
    emulated: { name: 'emulated', kernel: new EmulatedKernel({ engine, cpus }) },
    linux: { name: 'linux', kernel, isOurs: ({ pid }) => pid === process.pid },
    [Symbol.dispose]() {
      kernel[Symbol.dispose]();
      pinned[Symbol.dispose]();
    },
  };
}
