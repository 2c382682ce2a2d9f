// Which registers an argument takes, by what the verifier knows of them (compatible_reg_types). The names are those of
// the verifier's log, in the order in which a refusal lists them: `R1 type=ctx expected=map_ptr`.

import type { ArgKind } from './types.js';

const memory = [
  'fp',
  'pkt',
  'pkt_meta',
  'map_key',
  'map_value',
  'mem',
  'ringbuf_mem',
  'buf',
  'trusted_ptr_',
] as const;
const sockets = ['sock_common', 'sock', 'tcp_sock', 'xdp_sock'] as const;

/** `anything` takes every initialised register. A nullable argument takes the number 0 as well. */
export const argumentRegisters: Readonly<Record<Exclude<ArgKind, 'anything'>, readonly string[]>> = {
  'const-size': ['scalar'],
  'const-size-or-zero': ['scalar'],
  'const-alloc-size-or-zero': ['scalar'],
  'const-map-ptr': ['map_ptr'],
  'map-key': memory,
  'map-value': memory,
  mem: memory,
  'fixed-mem': memory,
  ctx: ['ctx'],
  'spin-lock': ['map_value', 'ptr_'],
  'sock-common': sockets,
  socket: ['sock'],
  'btf-id': ['ptr_', 'trusted_ptr_', 'rcu_ptr_'],
  'btf-id-sock-common': [...sockets, 'ptr_', 'trusted_ptr_'],
  'percpu-btf-id': ['percpu_ptr_', 'percpu_rcu_ptr_', 'percpu_trusted_ptr_'],
  'ringbuf-mem': ['ringbuf_mem'],
  func: ['func'],
  stack: ['fp'],
  'const-str': ['map_value'],
  timer: ['map_value'],
  'kptr-xchg-dest': ['map_value', 'ptr_'],
  dynptr: ['fp', 'dynptr_ptr'],
};
