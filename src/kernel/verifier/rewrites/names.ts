// Names of the kernel's functions and objects as numbers: where they lie, by a table of symbols.

/** Where things lie in the kernel that the program is in. */
export interface KernelNames {
  /** From `__bpf_call_base` to the function: what a call of it holds. */
  distance(name: string): number;
  /** Lower and upper half of an address. */
  address(name: string): readonly [number, number];
}
