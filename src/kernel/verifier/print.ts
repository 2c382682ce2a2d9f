// States as the log shows them (Linux: kernel/bpf/log.c).

import { type Address, layout as L } from './domain.js';
import type { Verifier } from './verifier.js';

const NAMES: Readonly<Record<number, string>> = {
  [L.NOT_INIT]: '?',
  [L.SCALAR]: 'scalar',
  [L.CTX]: 'ctx',
  [L.MAP_PTR]: 'map_ptr',
  [L.MAP_VALUE]: 'map_value',
  [L.MAP_KEY]: 'map_key',
  [L.STACK]: 'fp',
  [L.PACKET]: 'pkt',
  [L.PACKET_META]: 'pkt_meta',
  [L.PACKET_END]: 'pkt_end',
  [L.FLOW_KEYS]: 'flow_keys',
  [L.SOCKET]: 'sock',
  [L.SOCK_COMMON]: 'sock_common',
  [L.TCP_SOCK]: 'tcp_sock',
  [L.TP_BUFFER]: 'tp_buffer',
  [L.XDP_SOCK]: 'xdp_sock',
  [L.BTF_ID]: 'ptr_',
  [L.MEM]: 'mem',
  [L.ARENA]: 'arena',
  [L.BUF]: 'buf',
  [L.FUNC]: 'func',
  [L.DYNPTR]: 'dynptr_ptr',
};

const PREFIXES: readonly (readonly [flag: number, prefix: string])[] = [
  [L.RDONLY, 'rdonly_'],
  [L.RINGBUF, 'ringbuf_'],
  [L.USER, 'user_'],
  [L.PERCPU, 'percpu_'],
  [L.RCU, 'rcu_'],
  [L.UNTRUSTED, 'untrusted_'],
  [L.TRUSTED, 'trusted_'],
];

/** A register's type by name. */
export function typeName(type: number): string {
  let name = '';
  for (const [flag, prefix] of PREFIXES) if (type & flag) name += prefix;
  const base = type & L.BASE_TYPE;
  name += NAMES[base] ?? `type${base}`;
  if (type & L.MAYBE_NULL) name += base === L.BTF_ID ? 'or_null_' : '_or_null';
  return name;
}

/** Kinds of dynptr (enum bpf_dynptr_type) by number. */
export const DYNPTR_NAMES = ['<invalid>', 'local', 'ringbuf', 'skb', 'xdp', 'skb_meta'] as const;
export const ITER_STATES = ['<invalid>', 'active', 'drained'] as const;

const SLOT_CHARS = '?rm0dif';

/** Unsigned: decimal up to 16 bits, else hexadecimal. */
export const unsignedText = (value: bigint): string => {
  const unsigned = BigInt.asUintN(64, value);
  return unsigned <= 0xffffn ? `${unsigned}` : `0x${unsigned.toString(16)}`;
};
/** Signed: decimal where 16 bits hold it, else the 64 bits as hexadecimal. */
export const signedText = (value: bigint): string => {
  const signed = BigInt.asIntN(64, value);
  return signed >= -0x8000n && signed <= 0x7fffn
    ? `${signed}`
    : `0x${BigInt.asUintN(64, value).toString(16)}`;
};

export function tnumText(value: bigint, mask: bigint): string {
  if (mask === 0n) return unsignedText(value);
  return `(0x${BigInt.asUintN(64, value).toString(16)}; 0x${BigInt.asUintN(64, mask).toString(16)})`;
}

/** The bounds that say something, equal ones together. */
function rangesText(v: Verifier, r: Address): string[] {
  const { d } = v;
  const wide32 = (n: number): bigint => (n >= -0x8000 && n <= 0x7fff ? BigInt(n) : BigInt(n >>> 0));
  const bounds: { name: string; value: bigint; omit: boolean }[] = [
    { name: 'smin', value: d.big(r, L.Reg_smin), omit: d.big(r, L.Reg_smin) === -(2n ** 63n) },
    { name: 'smax', value: d.big(r, L.Reg_smax), omit: d.big(r, L.Reg_smax) === 2n ** 63n - 1n },
    { name: 'umin', value: d.big(r, L.Reg_umin), omit: d.big(r, L.Reg_umin) === 0n },
    { name: 'umax', value: d.big(r, L.Reg_umax), omit: d.big(r, L.Reg_umax) === -1n },
    { name: 'smin32', value: wide32(d.s32min(r)), omit: d.s32min(r) === -0x8000_0000 },
    { name: 'smax32', value: wide32(d.s32max(r)), omit: d.s32max(r) === 0x7fff_ffff },
    { name: 'umin32', value: BigInt(d.u32min(r)), omit: d.u32min(r) === 0 },
    { name: 'umax32', value: BigInt(d.u32max(r)), omit: d.u32max(r) === 0xffff_ffff },
  ];
  const negative = ({ name, value }: { name: string; value: bigint }) => name[0] === 's' && value < 0n;
  const out: string[] = [];
  bounds.forEach((bound, i) => {
    if (bound.omit) return;
    let text = `${bound.name}=`;
    // Minima stand at even places, maxima at odd ones: only like is joined with like.
    for (let j = i + 2; j < bounds.length; j += 2) {
      const other = bounds[j];
      if (!other || other.omit || other.value !== bound.value || negative(other) !== negative(bound))
        continue;
      other.omit = true;
      text += `${other.name}=`;
    }
    out.push(text + (bound.name[0] === 's' ? signedText(bound.value) : unsignedText(bound.value)));
  });
  return out;
}

/** A register of frame `frameno`. */
export function regText(v: Verifier, frameno: number, r: Address): string {
  const { d } = v;
  const type = d.type(r);
  const base = type & L.BASE_TYPE;
  let text = '';
  if (type === L.SCALAR && d.precise(r)) text += 'P';
  if (type === L.SCALAR && d.isConst(r)) return text + signedText(d.constant(r));
  text += typeName(type);
  if (type === L.ARENA) return text;
  if (type === L.STACK) {
    if (d.frameno(r) !== frameno) text += `[${d.frameno(r)}]`;
    if (d.isConst(r)) return text + signedText(d.constant(r) + BigInt(d.off(r)));
  }
  if (base === L.BTF_ID) text += v.btfOf(r).nameOf(d.object(r, 1));
  const parts: string[] = [];
  const id = d.id(r);
  if (id) {
    const delta = id & L.ADD_CONST ? (d.off(r) >= 0 ? `+${d.off(r)}` : `${d.off(r)}`) : '';
    parts.push(`id=${id & ~L.ADD_CONST}${delta}`);
  }
  if (d.refObjId(r)) parts.push(`ref_obj_id=${d.refObjId(r)}`);
  if (type & L.NON_OWN_REF) parts.push('non_own_ref');
  if (base === L.MAP_PTR || base === L.MAP_VALUE || base === L.MAP_KEY) {
    const map = v.mapOf(r);
    if (map.name) parts.push(`map=${map.name}`);
    parts.push(`ks=${map.keySize},vs=${map.valueSize}`);
  }
  if (type !== L.SCALAR && d.off(r)) parts.push(`off=${signedText(BigInt(d.off(r)))}`);
  if (base === L.PACKET || base === L.PACKET_META) parts.push(`r=${unsignedText(BigInt(d.object(r, 0)))}`);
  if (base === L.MEM) parts.push(`sz=${unsignedText(BigInt(d.object(r, 0) >>> 0))}`);
  if (type === L.DYNPTR) parts.push(`type=${DYNPTR_NAMES[d.object(r, 0)]}`);
  if (d.isConst(r)) {
    if (!d.isZero(r)) parts.push(`imm=${signedText(d.constant(r))}`);
  } else {
    parts.push(...rangesText(v, r));
    const mask = d.big(r, L.Reg_mask);
    if (mask !== -1n || d.big(r, L.Reg_value) !== 0n) {
      parts.push(`var_off=${tnumText(d.big(r, L.Reg_value), mask)}`);
    }
  }
  return `${text}(${parts.join(',')})`;
}

/** A stack slot that holds something; the number of slots that the object takes comes with it. */
function slotText(
  v: Verifier,
  frame: Address,
  frameno: number,
  slot: number,
): { text: string; slots: number } {
  const { d } = v;
  let kinds = '';
  let valid = false;
  for (let i = 0; i < 8; i++) {
    const kind = d.slotByte(frame, slot, i);
    if (kind !== L.SLOT_INVALID) valid = true;
    kinds += SLOT_CHARS[kind];
  }
  if (!valid) return { text: '', slots: 1 };
  const at = (i: number) => ` fp${-(i + 1) * 8}`;
  const reg = d.slotReg(frame, slot);
  switch (d.slotByte(frame, slot, 7)) {
    case L.SLOT_SPILL:
      return {
        text: `${at(slot)}=${kinds.slice(0, kinds.indexOf('r'))}${regText(v, frameno, reg)}`,
        slots: 1,
      };
    case L.SLOT_DYNPTR: {
      // Two slots; what is known stands in the one with the lower address.
      const lower = d.slotReg(frame, slot + 1);
      const parts: string[] = [];
      if (d.id(lower)) parts.push(`id=${d.id(lower)}`);
      if (d.refObjId(lower)) parts.push(`ref_id=${d.refObjId(lower)}`);
      // Linux shows the mark of the lower slot as if it were an id.
      if (d.object(lower, 1)) parts.push(`dynptr_id=${d.object(lower, 1)}`);
      return {
        text: `${at(slot + 1)}=dynptr_${DYNPTR_NAMES[d.object(lower, 0)]}(${parts.join(',')})`,
        slots: 2,
      };
    }
    case L.SLOT_ITER: {
      if (!d.refObjId(reg)) return { text: '', slots: 1 };
      const name = v
        .btfOf(reg)
        .nameOf(d.object(reg, 1))
        .replace(/^bpf_iter_/, '');
      const state = ITER_STATES[d.object(reg, 2)];
      return {
        text: `${at(slot)}=iter_${name}(ref_id=${d.refObjId(reg)},state=${state},depth=${d.object(reg, 3)})`,
        slots: 1,
      };
    }
    default:
      return { text: `${at(slot)}=${kinds}`, slots: 1 };
  }
}

/** Writes frame `frameno` of a state; only what changed, unless `all`. */
export function printState(v: Verifier, state: Address, frameno: number, all: boolean): void {
  const { d, log } = v;
  const frame = d.frame(state, frameno);
  const number = d.get(frame, L.Frame_frameno);
  let text = number ? ` frame${number}:` : '';
  for (let i = 0; i < 11; i++) {
    const r = d.reg(frame, i);
    if (d.type(r) === L.NOT_INIT || (!all && !(v.scratchedRegs & (1 << i)))) continue;
    text += ` R${i}=${regText(v, number, r)}`;
  }
  const slots = d.slots(frame);
  for (let i = 0; i < slots; ) {
    if (!all && !(v.scratchedSlots & (1n << BigInt(i)))) {
      i++;
      continue;
    }
    const slot = slotText(v, frame, number, i);
    text += slot.text;
    i += slot.slots;
  }
  const refs: number[] = [];
  const count = d.get(state, L.State_refCount);
  for (let i = 0; i < count; i++) {
    const id = d.get(d.get(state, L.State_refs) + i * L.Ref_size, L.Ref_id);
    if (id) refs.push(id);
    // A lock of a global variable has none: if it comes first, Linux shows nothing.
    else if (i === 0) break;
  }
  if (refs.length > 0) text += ` refs=${refs.join(',')}`;
  if (d.get(frame, L.Frame_inCallback)) text += ' cb';
  if (d.get(frame, L.Frame_inAsyncCallback)) text += ' async_cb';
  log.write(`${text}\n`);
  if (!all) v.scratchNone();
}

/** The state after the last instruction, on its line. */
export function printInsnState(v: Verifier): void {
  v.log.beginState(v.insn);
  printState(v, v.state, v.frameNumber, false);
}
