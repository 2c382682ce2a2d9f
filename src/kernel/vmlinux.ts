// The kernel's own types as a BTF object. It is the first one and always there; a megabyte of it is read when somebody opens it.

import type { Btf } from '../btf/index.js';
import type { KernelBtf } from './program.js';
import { kernelTypes } from './types/index.js';

export class VmlinuxBtf implements KernelBtf {
  readonly id = 1;
  #types: Btf | undefined;

  /** Reads the types; nobody has a descriptor before that. */
  async read(): Promise<void> {
    this.#types ??= await kernelTypes();
  }

  get btf(): Btf {
    if (this.#types) return this.#types;
    throw new Error("the kernel's types have not been read");
  }
}
