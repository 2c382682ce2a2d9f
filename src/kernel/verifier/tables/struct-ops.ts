// The kernel's structures of functions that programs may implement (struct_ops), beyond what their BTF says.

export interface StructOpsRules {
  /** Functions that a program cannot be. */
  readonly unsupported?: readonly string[];
  /** The only functions that may sleep; absent: all. */
  readonly sleepable?: readonly string[];
  /** Arguments that may be NULL, by position, of each function. */
  readonly nullable?: Readonly<Record<string, readonly number[]>>;
  /** A `struct NAME *` argument that is in truth a larger structure, which begins with the one named. */
  readonly arguments?: Readonly<Record<string, string>>;
}

/** By structure. A kernel supports those for which its BTF has `struct bpf_struct_ops_NAME`. */
export const structOps: Readonly<Record<string, StructOpsRules>> = {
  tcp_congestion_ops: { unsupported: ['get_info'], arguments: { sock: 'tcp_sock' } },
  bpf_dummy_ops: { sleepable: ['test_sleepable'], nullable: { test_1: [0] } },
};
