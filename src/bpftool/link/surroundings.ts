// What links name by a number, looked up in the kernel once for all of them.

import type { Bpf, NetDevice } from '../../bpf/bpf.js';

export interface KernelFunction {
  name: string;
  /** The module that has it; undefined for the kernel itself. */
  module: string | undefined;
}

/** Bytes of `endbr64`, with which functions begin where the processor checks indirect branches: a probe is behind it. */
const ENDBR_SIZE = 4n;

export class Surroundings {
  readonly #bpf: Bpf;
  #devices: Promise<NetDevice[]> | undefined;
  #symbols: Promise<string> | undefined;

  constructor(bpf: Bpf) {
    this.#bpf = bpf;
  }

  /** Undefined for a device that this network namespace does not have. */
  async deviceName(ifindex: number): Promise<string | undefined> {
    this.#devices ??= this.#bpf.netDevices();
    return (await this.#devices).find((device) => device.ifindex === ifindex)?.name;
  }

  /** Fails with a BpfError when there is no such program. */
  async progType(id: number): Promise<number> {
    const fd = await this.#bpf.progGetFdById(id);
    try {
      return (await this.#bpf.progInfo(fd)).type;
    } finally {
      await this.#bpf.close(fd);
    }
  }

  /** The functions that probes at these addresses are in; undefined where the kernel tells no addresses. */
  async functionsAt(addresses: readonly bigint[]): Promise<Map<bigint, KernelFunction> | undefined> {
    this.#symbols ??= this.#bpf.readFile('/proc/kallsyms').then(
      (bytes) => new TextDecoder().decode(bytes),
      () => '',
    );
    const wanted = new Set(addresses.flatMap((address) => [address, address - ENDBR_SIZE]));
    const symbols = new Map<bigint, KernelFunction>();
    let told = false;
    for (const [, digits = '', name = '', module] of (await this.#symbols).matchAll(
      /^([0-9a-f]+) \S ([^\s[]+)(?:\s+\[(.+)\])?$/gm,
    )) {
      const address = BigInt(`0x${digits}`);
      if (address === 0n) continue;
      told = true;
      if (wanted.has(address) && !symbols.has(address)) symbols.set(address, { name, module });
    }
    if (!told) return undefined;
    const found = new Map<bigint, KernelFunction>();
    for (const address of addresses) {
      const symbol = symbols.get(address) ?? symbols.get(address - ENDBR_SIZE);
      if (symbol) found.set(address, symbol);
    }
    return found;
  }
}
