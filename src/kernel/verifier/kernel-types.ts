// The kernel's BTF is large and rarely needed: the verification that first asks for it is begun again when it is there.

/** Thrown where the kernel's types are asked for and not there yet. */
export class KernelTypesNeeded extends Error {
  constructor() {
    super("the kernel's types are needed");
    this.name = 'KernelTypesNeeded';
  }
}
