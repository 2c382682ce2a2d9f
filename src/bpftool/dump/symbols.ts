// /proc/kallsyms as the dumps read it: `address type name [module]`, one a line.

/** The address that the number in a call counts from. */
const CALL_BASE = '__bpf_call_base';

export class KernelSymbols {
  /** Names by address in hexadecimal, 16 digits; the first where several have the same. */
  readonly #names: ReadonlyMap<string, string>;
  /** Address of `__bpf_call_base`; 0 when it is not told. */
  readonly callBase: bigint;

  private constructor(names: ReadonlyMap<string, string>, callBase: bigint) {
    this.#names = names;
    this.callBase = callBase;
  }

  /** Lines that are no symbols, and those whose address is hidden, are skipped. */
  static parse(bytes: Uint8Array): KernelSymbols {
    const names = new Map<string, string>();
    let callBase = 0n;
    for (const line of new TextDecoder().decode(bytes).split('\n')) {
      const space = line.indexOf(' ');
      const address = line.slice(0, space).padStart(16, '0');
      const name = line.slice(space + 3).split(/\s/, 1)[0] ?? '';
      if (space < 1 || name === '' || address === '0000000000000000') continue;
      if (!names.has(address)) names.set(address, name);
      if (name === CALL_BASE) callBase = BigInt(`0x${address}`);
    }
    return new KernelSymbols(names, callBase);
  }

  /** The symbol that begins at exactly this address. */
  at(address: bigint): string | undefined {
    return this.#names.get(BigInt.asUintN(64, address).toString(16).padStart(16, '0'));
  }
}
