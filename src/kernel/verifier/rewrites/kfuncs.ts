// Calls of kernel functions: some get arguments that only the kernel knows, casts are a move.

import { objectRecord } from '../records.js';
import { rulesOf } from '../tables/contexts/index.js';
import type { Insn, InsnFields } from './code.js';
import { address, mov, movImm } from './emit.js';
import type { KfuncFacts, RewriteFacts } from './facts.js';

/** A parameter that the kernel fills in: the program itself. */
const PROGRAM = '__prog';

/** A call of a kernel function; one instruction at least. */
export function kfuncCall(insn: Insn, facts: RewriteFacts): InsnFields[] {
  const kfunc = facts.kfuncs.get(insn.origin);
  if (!kfunc) return [insn.copy()];
  const plain: InsnFields = { ...insn.copy(), symbol: symbolOf(kfunc, facts) };
  switch (kfunc.name) {
    case 'bpf_obj_new_impl':
    case 'bpf_percpu_obj_new_impl':
      return [movImm(1, sizeOf(kfunc)), meta(2, kfunc), plain];
    case 'bpf_obj_drop_impl':
    case 'bpf_percpu_obj_drop_impl':
    case 'bpf_refcount_acquire_impl':
      return [meta(2, kfunc), plain];
    case 'bpf_list_push_front_impl':
    case 'bpf_list_push_back_impl':
      return [meta(3, kfunc), movImm(4, kfunc.nodeOffset ?? 0), plain];
    case 'bpf_rbtree_add_impl':
      return [meta(4, kfunc), movImm(5, kfunc.nodeOffset ?? 0), plain];
    case 'bpf_cast_to_kern_ctx':
    case 'bpf_rdonly_cast':
      return [mov(0, 1)];
    default: {
      const number = kfunc.parameters.findIndex((name) => name.endsWith(PROGRAM));
      return number < 0 ? [plain] : [address(number + 1, 'prog_aux'), plain];
    }
  }
}

/** Where the kernel describes the special fields of an object; null when it has none. */
function meta(register: number, { btf, typeId }: KfuncFacts): InsnFields {
  const record = btf && typeId !== undefined ? objectRecord(btf, typeId) : undefined;
  const loaded = address(register, 'struct_meta');
  return record ? loaded : { ...loaded, symbol: undefined };
}

function sizeOf({ btf, typeId }: KfuncFacts): number {
  return btf && typeId !== undefined ? btf.sizeOf(typeId) : 0;
}

/** Programs that may only read packets get dynptrs that only read. */
function symbolOf({ name }: KfuncFacts, { program }: RewriteFacts): string {
  return name === 'bpf_dynptr_from_skb' && !rulesOf(program.type)?.packet?.write
    ? 'bpf_dynptr_from_skb_rdonly'
    : name;
}
