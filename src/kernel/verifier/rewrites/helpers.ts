// Calls of helpers: what the kernel writes out itself, what it adds to a call, and which of its functions it calls.

import { helperNames } from '../../../bpf/helpers.js';
import { AttachType, MapType, ProgType } from '../../../bpf/types.js';
import { Mode } from '../../../isa/opcodes.js';
import type { Insn, InsnFields } from './code.js';
import {
  address,
  alu,
  alu32,
  alu32Imm,
  aluImm,
  call,
  exchange,
  exit,
  goto,
  jump32,
  jumpImm,
  load,
  mov,
  movImm,
  movPerCpu,
  store,
} from './emit.js';
import type { RewriteFacts } from './facts.js';
import type { KernelLayout } from './layout.js';
import { mapCall } from './maps.js';
import { helperSymbol } from './symbols.js';

const GFP_ATOMIC = 0x820;
const GFP_KERNEL = 0xcc0;
const EINVAL = 22;
const EOPNOTSUPP = 95;
const CONTEXT = 6;

const STORAGE: ReadonlySet<string> = new Set([
  'sk_storage_get',
  'inode_storage_get',
  'task_storage_get',
  'cgrp_storage_get',
]);

/** A call of a helper; one instruction at least. */
export function helperCall(insn: Insn, facts: RewriteFacts, layout: KernelLayout): InsnFields[] {
  const name = helperNames[insn.imm] ?? '';
  const { program } = facts;
  const { type } = program;
  const plain = call(helperSymbol(name, program));
  const use = facts.mapUse.get(insn.origin);
  if (name === 'tail_call') {
    const index = 3;
    const map = use?.map;
    const tail = call('bpf_tail_call');
    // The index is cut where whoever made the map may not be trusted with speculation.
    if (!map?.speculative || map.type !== MapType.ProgArray) return [tail];
    const mask = 2 ** Math.ceil(Math.log2(map.maxEntries)) - 1;
    return [jumpImm('JGE', index, map.maxEntries, 2), alu32Imm('AND', index, mask), tail];
  }
  if (name === 'timer_set_callback') return [address(3, 'prog_aux'), plain];
  if (STORAGE.has(name)) {
    return [movImm(5, facts.atomicCalls.has(insn.origin) ? GFP_ATOMIC : GFP_KERNEL), plain];
  }
  if (facts.percpuCalls.has(insn.origin)) return [load(8, 1, 1, 0), plain];
  if (use && !use.poisoned) {
    const written = mapCall(name, use.map, layout);
    if (written) return written;
  }
  const written = inlined(name, facts);
  return written ?? (type === ProgType.Unspec ? [insn.copy()] : [plain]);
}

/** Helpers that are a few instructions. */
function inlined(name: string, { program }: RewriteFacts): InsnFields[] | undefined {
  const { type, expectedAttachType: attach } = program;
  const tracing = type === ProgType.Tracing;
  switch (name) {
    case 'jiffies64':
      return [address(0, 'jiffies'), load(8, 0, 0, 0)];
    case 'get_smp_processor_id':
      return [{ ...movImm(0, 0), symbol: 'cpu_number' }, movPerCpu(0, 0), load(4, 0, 0, 0)];
    case 'kptr_xchg':
      return [mov(0, 2), exchange(1, 0)];
    case 'get_func_arg':
      if (!tracing) return undefined;
      return [
        load(8, 0, 1, -8),
        jump32('JGE', 2, 0, 6),
        aluImm('LSH', 2, 3),
        alu('ADD', 2, 1),
        load(8, 0, 2, 0),
        store(8, 3, 0, 0),
        movImm(0, 0),
        goto(1),
        movImm(0, -EINVAL),
      ];
    case 'get_func_ret': {
      if (!tracing) return undefined;
      const { TraceFexit, TraceFsession, ModifyReturn } = AttachType as Record<string, AttachType>;
      if (![TraceFexit, TraceFsession, ModifyReturn].includes(attach)) return [movImm(0, -EOPNOTSUPP)];
      return [
        load(8, 0, 1, -8),
        aluImm('LSH', 0, 3),
        alu('ADD', 0, 1),
        load(8, 3, 0, 0),
        store(8, 2, 3, 0),
        movImm(0, 0),
      ];
    }
    case 'get_func_arg_cnt':
      return tracing ? [load(8, 0, 1, -8)] : undefined;
    case 'get_func_ip':
      return tracing ? [load(8, 0, 1, -16)] : undefined;
    default:
      return undefined;
  }
}

/** LD_ABS and LD_IND: a call; what lies outside of the packet ends the program. */
export function packetLoad(insn: Insn): InsnFields[] {
  const indirect = (insn.code & 0xe0) === Mode.IND;
  const offset = indirect
    ? [mov(2, insn.src), ...(insn.imm ? [aluImm('ADD', 2, insn.imm)] : [])]
    : [movImm(2, insn.imm)];
  const bits = [32, 16, 8][(insn.code >> 3) & 3] ?? 32;
  return [
    ...offset,
    mov(1, CONTEXT),
    call(`bpf_skb_load_helper_${bits}_no_cache`),
    jumpImm('JSGE', 0, 0, 2),
    alu32('XOR', 0, 0),
    exit(),
  ];
}
