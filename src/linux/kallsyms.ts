// The symbols of the running kernel (/proc/kallsyms): `address type name [module]`, one a line. Addresses are 0 for whoever
// may not see them (kernel.kptr_restrict).

import { readFileSync } from 'node:fs';
import { SkepError } from '../base/error.js';

export interface KernelSymbol {
  name: string;
  address: bigint;
  /** As nm(1) has it: `T` text, `D` data, small letters for what is not exported ... */
  type: string;
  /** The module that has it; undefined for the kernel itself. */
  module?: string;
}

/** Symbols of the kernel, by name and by address. */
export class KernelSymbols {
  /** In ascending order of addresses. */
  readonly all: readonly KernelSymbol[];
  readonly #byName = new Map<string, KernelSymbol>();

  constructor(symbols: readonly KernelSymbol[]) {
    this.all = symbols.toSorted((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
    for (const symbol of this.all) if (!this.#byName.has(symbol.name)) this.#byName.set(symbol.name, symbol);
  }

  /** Whether this process sees addresses at all. */
  get hasAddresses(): boolean {
    return (this.all.at(-1)?.address ?? 0n) !== 0n;
  }

  /** The first symbol of this name. */
  byName(name: string): KernelSymbol | undefined {
    return this.#byName.get(name);
  }

  /** The last symbol at or before an address, which the address belongs to. */
  at(address: bigint): KernelSymbol | undefined {
    let low = 0;
    let high = this.all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.all[middle]?.address ?? 0n) <= address) low = middle + 1;
      else high = middle;
    }
    return this.all[low - 1];
  }
}

/** Reads what /proc/kallsyms holds; lines that are no symbols are skipped. */
export function parseKallsyms(text: string): KernelSymbols {
  const symbols: KernelSymbol[] = [];
  for (const line of text.split('\n')) {
    const parts = /^([0-9a-f]+) (\S) (\S+)(?:\s+\[(.+)\])?$/.exec(line);
    if (!parts) continue;
    const [, address = '0', type = '', name = '', module] = parts;
    symbols.push({
      name,
      address: BigInt(`0x${address}`),
      type,
      ...(module === undefined ? {} : { module }),
    });
  }
  return new KernelSymbols(symbols);
}

/** The symbols of the running kernel. Throws a SkepError when it does not tell them. */
export function readKallsyms(): KernelSymbols {
  try {
    return parseKallsyms(readFileSync('/proc/kallsyms', 'utf8'));
  } catch (cause) {
    throw new SkepError('the running kernel does not tell its symbols: /proc/kallsyms cannot be read', {
      hint: 'It needs CONFIG_KALLSYMS.',
      cause,
    });
  }
}
