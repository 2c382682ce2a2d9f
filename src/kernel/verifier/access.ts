// Loads and stores (Linux: check_mem_access): what kind of memory a pointer leads to decides what is allowed there and
// what is known of a value that was loaded.

import { Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import { readBtf, readMapObject } from './btf-access.js';
import { checkContextAccess } from './context.js';
import { layout as L } from './domain.js';
import { loadKernelPointer } from './kptr.js';
import { tnumText, typeName } from './print.js';
import {
  baseType,
  checkBounds,
  isPointerValue,
  markUnknown,
  mayBeNull,
  readReg,
  writeReg,
} from './registers.js';
import { checkSocketAccess } from './sockets.js';
import { type AccessType, checkStackBounds, readStack, writeStack } from './stack.js';
import type { Verifier } from './verifier.js';

const MAX_OFFSET = 1 << 29;
const SIZES = [4, 2, 1, 8];
export const sizeOf = (code: number): number => SIZES[(code >> 3) & 3] as number;

/** Who touches the memory: the program itself, or a helper that it gave a pointer. */
export type AccessSource = 'direct' | 'helper';

/** Whether [off, off + size) lies inside an object of `limit` bytes; refuses if not. */
function checkInside(
  v: Verifier,
  number: number,
  off: number,
  size: number,
  limit: number,
  zeroAllowed: boolean,
): boolean {
  if (off >= 0 && (size > 0 || (size === 0 && zeroAllowed)) && off + size <= limit) return true;
  const { d } = v;
  const r = v.reg(number);
  const at = Number(BigInt.asIntN(32, BigInt(Math.trunc(off))));
  switch (d.type(r)) {
    case L.MAP_KEY:
      v.log.write(`invalid access to map key, key_size=${limit} off=${at} size=${size}\n`);
      break;
    case L.MAP_VALUE:
      v.log.write(`invalid access to map value, value_size=${limit} off=${at} size=${size}\n`);
      break;
    case L.PACKET:
    case L.PACKET_META:
    case L.PACKET_END:
      v.log.write(
        `invalid access to packet, off=${at} size=${size}, R${number}(id=${d.id(r)},off=${at},r=${limit})\n`,
      );
      break;
    default:
      v.log.write(`invalid access to memory, mem_size=${limit} off=${at} size=${size}\n`);
  }
  return false;
}

const NEGATIVE = 'min value is negative, either use unsigned index or do a if (index >=0) check.';

/** An object of `limit` bytes, at all offsets that the pointer may have. */
export function checkRegion(
  v: Verifier,
  number: number,
  off: number,
  size: number,
  limit: number,
  zeroAllowed: boolean,
): void {
  const { d } = v;
  const r = v.reg(number);
  const smin = d.smin(r);
  if (smin < 0 && (smin + off < 0 || smin + off !== (smin + off) << 0)) {
    v.reject(Errno.EACCES, `R${number} ${NEGATIVE}`);
  }
  if (!checkInside(v, number, smin + off, size, limit, zeroAllowed)) {
    v.reject(Errno.EACCES, `R${number} min value is outside of the allowed memory range`);
  }
  if (d.umax(r) >= MAX_OFFSET) {
    v.reject(Errno.EACCES, `R${number} unbounded memory access, make sure to bounds check any such access`);
  }
  if (!checkInside(v, number, d.umax(r) + off, size, limit, zeroAllowed)) {
    v.reject(Errno.EACCES, `R${number} max value is outside of the allowed memory range`);
  }
}

/** Special fields as the log names them. */
export const FIELD_NAMES: Readonly<Record<string, string>> = {
  'spin-lock': 'bpf_spin_lock',
  'res-spin-lock': 'bpf_res_spin_lock',
  timer: 'bpf_timer',
  workqueue: 'bpf_wq',
  'task-work': 'bpf_task_work',
  'kptr-unref': 'kptr',
  'kptr-ref': 'kptr',
  'kptr-percpu': 'percpu_kptr',
  uptr: 'uptr',
  'list-head': 'bpf_list_head',
  'list-node': 'bpf_list_node',
  'rb-root': 'bpf_rb_root',
  'rb-node': 'bpf_rb_node',
  refcount: 'bpf_refcount',
};

/** A map value, with its special fields out of reach. */
export function checkMapAccess(
  v: Verifier,
  number: number,
  off: number,
  size: number,
  zeroAllowed: boolean,
  source: AccessSource,
): void {
  const { d } = v;
  const r = v.reg(number);
  const map = v.mapOf(r);
  checkRegion(v, number, off, size, map.valueSize, zeroAllowed);
  for (const field of map.record?.fields ?? []) {
    const at = field.offset;
    // Any part of the field, at any offset that the pointer may have.
    if (!(d.smin(r) + off < at + field.size && at < d.umax(r) + off + size)) continue;
    if (!field.kind.startsWith('kptr') && field.kind !== 'uptr') {
      v.reject(Errno.EACCES, `${FIELD_NAMES[field.kind]} cannot be accessed directly by load/store`);
    }
    const name = field.kind === 'uptr' ? 'uptr' : 'kptr';
    if (source !== 'direct') v.reject(Errno.EACCES, `${name} cannot be accessed indirectly by helper`);
    if (!d.isConst(r)) v.reject(Errno.EACCES, `${name} access cannot have variable offset`);
    if (at !== off + d.value(r)) {
      v.reject(Errno.EACCES, `${name} access misaligned expected=${at} off=${off + d.value(r)}`);
    }
    if (size !== 8) v.reject(Errno.EACCES, `${name} access size must be BPF_DW`);
  }
}

/** The map may be read, or written, by programs. */
export function checkMapType(v: Verifier, number: number, off: number, size: number, type: AccessType): void {
  const map = v.mapOf(v.reg(number));
  if (type === 'write' && map.flags & MapFlag.RdonlyProg) {
    v.reject(Errno.EACCES, `write into map forbidden, value_size=${map.valueSize} off=${off} size=${size}`);
  }
  if (type === 'read' && map.flags & MapFlag.WronlyProg) {
    v.reject(Errno.EACCES, `read from map forbidden, value_size=${map.valueSize} off=${off} size=${size}`);
  }
}

export function checkPacketAccess(
  v: Verifier,
  number: number,
  off: number,
  size: number,
  zeroAllowed: boolean,
): void {
  const { d } = v;
  const r = v.reg(number);
  // The variable part is not looked at: the range was found for pointers with the same one.
  if (d.smin(r) < 0) v.reject(Errno.EACCES, `R${number} ${NEGATIVE}`);
  const range = d.object(r, 0);
  if (range < 0) v.reject(Errno.EINVAL, `R${number} offset is outside of the packet`);
  if (!checkInside(v, number, off, size, range, zeroAllowed)) {
    v.reject(Errno.EACCES, `R${number} offset is outside of the packet`);
  }
}

/** Memory whose size is what the program uses of it (PTR_TO_BUF, PTR_TO_TP_BUFFER). */
export function checkBufferAccess(v: Verifier, number: number, off: number, size: number): void {
  const { d } = v;
  const r = v.reg(number);
  const name = d.type(r) === L.TP_BUFFER ? 'tracepoint' : d.type(r) & L.RDONLY ? 'rdonly' : 'rdwr';
  if (off < 0) {
    v.reject(Errno.EACCES, `R${number} invalid ${name} buffer access: off=${off}, size=${size}`);
  }
  if (!d.isConst(r) || !d.isZero(r)) {
    const text = tnumText(d.big(r, L.Reg_value), d.big(r, L.Reg_mask));
    v.reject(Errno.EACCES, `R${number} invalid variable buffer offset: off=${off}, var_off=${text}`);
  }
}

/** `off` past a pointer that may not be moved, or only by a fixed distance. */
export function checkUnmoved(v: Verifier, number: number, fixedAllowed: boolean): void {
  const { d } = v;
  const r = v.reg(number);
  const name = typeName(d.type(r));
  if (d.off(r) < 0)
    v.reject(Errno.EACCES, `negative offset ${name} ptr R${number} off=${d.off(r)} disallowed`);
  if (!fixedAllowed && d.off(r)) {
    v.reject(Errno.EACCES, `dereference of modified ${name} ptr R${number} off=${d.off(r)} disallowed`);
  }
  if (!d.isZero(r)) {
    const text = tnumText(d.big(r, L.Reg_value), d.big(r, L.Reg_mask));
    v.reject(Errno.EACCES, `variable ${name} access var_off=${text} disallowed`);
  }
}

const ALIGN_NAMES: Readonly<Record<number, string>> = {
  [L.FLOW_KEYS]: 'flow keys ',
  [L.MAP_KEY]: 'key ',
  [L.MAP_VALUE]: 'value ',
  [L.CTX]: 'context ',
  [L.STACK]: 'stack ',
  [L.SOCKET]: 'sock ',
  [L.SOCK_COMMON]: 'sock_common ',
  [L.TCP_SOCK]: 'tcp_sock ',
  [L.XDP_SOCK]: 'xdp_sock ',
};

/** Where alignment is asked for: always on the stack. Packets begin 2 bytes off (NET_IP_ALIGN). */
export function checkAlignment(
  v: Verifier,
  number: number,
  off: number,
  size: number,
  strictOnce: boolean,
): void {
  const { d } = v;
  const r = v.reg(number);
  const type = d.type(r);
  if (type === L.ARENA || size === 1) return;
  if (!v.strictAlignment && !strictOnce && type !== L.STACK) return;
  const packet = type === L.PACKET || type === L.PACKET_META;
  if (!d.wasm.misaligned(r, d.off(r) + off + (packet ? 2 : 0), size)) return;
  const text = tnumText(d.big(r, L.Reg_value), d.big(r, L.Reg_mask));
  if (packet) {
    v.reject(Errno.EACCES, `misaligned packet access off 2+${text}+${d.off(r)}+${off} size ${size}`);
  }
  v.reject(
    Errno.EACCES,
    `misaligned ${ALIGN_NAMES[type] ?? ''}access off ${text}+${d.off(r)}+${off} size ${size}`,
  );
}

export interface MemoryAccess {
  /** The register that points there. */
  readonly pointer: number;
  readonly off: number;
  /** 1, 2, 4 or 8 bytes. */
  readonly size: number;
  readonly type: AccessType;
  /** Register that is stored, or loaded into; -1 for none. */
  readonly value: number;
  readonly strictAlignment?: boolean;
  readonly signExtend?: boolean;
}

/** One access of the current instruction. */
export function checkAccess(v: Verifier, access: MemoryAccess): void {
  const { d } = v;
  const { pointer, size, type, value } = access;
  checkAlignment(v, pointer, access.off, size, access.strictAlignment ?? false);
  const r = v.reg(pointer);
  const off = access.off + d.off(r);
  const regType = d.type(r);
  const base = baseType(regType);
  const loads = type === 'read' && value >= 0;
  const leak = (where: string) => {
    if (type === 'write' && value >= 0 && isPointerValue(v, v.reg(value))) {
      v.reject(Errno.EACCES, `R${value} leaks addr into ${where}`);
    }
  };
  const readOnly = () => v.reject(Errno.EACCES, `R${pointer} cannot write into ${typeName(regType)}`);
  if (regType === L.MAP_KEY) {
    if (type === 'write') v.reject(Errno.EACCES, `write to change key R${pointer} not allowed`);
    checkRegion(v, pointer, off, size, v.mapOf(r).keySize, false);
    if (value >= 0) markUnknown(v, v.reg(value));
  } else if (regType === L.MAP_VALUE) {
    leak('map');
    accessMapValue(v, access, off);
  } else if (base === L.MEM) {
    if (mayBeNull(regType)) invalid(v, pointer, regType);
    const constant = (regType & L.RDONLY) !== 0;
    if (type === 'write' && constant) readOnly();
    leak('mem');
    // Memory that nobody vouches for is read with faults caught: its size does not matter.
    if (!(constant && regType & L.UNTRUSTED)) checkRegion(v, pointer, off, size, d.object(r, 0) >>> 0, false);
    if (value >= 0 && (type === 'read' || constant)) markUnknown(v, v.reg(value));
  } else if (regType === L.CTX) {
    leak('ctx');
    checkUnmoved(v, pointer, false);
    checkContextAccess(v, access, off);
  } else if (regType === L.STACK) {
    checkStackBounds(v, pointer, off, size, type);
    if (type === 'read') readStack(v, pointer, off, size, value);
    else writeStack(v, pointer, off, size, value, v.insn);
  } else if (regType === L.PACKET || regType === L.PACKET_META) {
    if (type === 'write' && !v.rules.packet?.write) v.reject(Errno.EACCES, 'cannot write into packet');
    if (type === 'write') v.writesPacket = true;
    leak('packet');
    checkPacketAccess(v, pointer, off, size, false);
    if (loads) markUnknown(v, v.reg(value));
  } else if (regType === L.FLOW_KEYS) {
    leak('flow keys');
    if (off < 0 || off + size > FLOW_KEYS_SIZE) {
      v.reject(Errno.EACCES, `invalid access to flow keys off=${off} size=${size}`);
    }
    if (loads) markUnknown(v, v.reg(value));
  } else if (isSocket(regType)) {
    if (type === 'write') readOnly();
    checkSocketAccess(v, pointer, off, size);
    if (value >= 0) markUnknown(v, v.reg(value));
  } else if (regType === L.TP_BUFFER) {
    checkBufferAccess(v, pointer, off, size);
    if (loads) markUnknown(v, v.reg(value));
  } else if (base === L.BTF_ID && !mayBeNull(regType)) {
    readBtf(v, access, off);
  } else if (regType === L.MAP_PTR) {
    readMapObject(v, access, off);
  } else if (base === L.BUF && !mayBeNull(regType)) {
    const constant = (regType & L.RDONLY) !== 0;
    if (constant && type === 'write') readOnly();
    checkBufferAccess(v, pointer, off, size);
    if (value >= 0 && (constant || type === 'read')) markUnknown(v, v.reg(value));
  } else if (regType === L.ARENA) {
    if (loads) markUnknown(v, v.reg(value));
  } else {
    invalid(v, pointer, regType);
  }
  if (size < 8 && loads && d.type(v.reg(value)) === L.SCALAR) {
    if (access.signExtend) d.wasm.regSignExtend(v.reg(value), size);
    else d.wasm.regTruncate(v.reg(value), size);
  }
}

/** sizeof(struct bpf_flow_keys). */
const FLOW_KEYS_SIZE = 56;

export const isSocket = (type: number): boolean =>
  type === L.SOCKET || type === L.SOCK_COMMON || type === L.TCP_SOCK || type === L.XDP_SOCK;

const invalid = (v: Verifier, number: number, type: number): never =>
  v.reject(Errno.EACCES, `R${number} invalid mem access '${typeName(type)}'`);

function accessMapValue(v: Verifier, access: MemoryAccess, off: number): void {
  const { d } = v;
  const { pointer, size, type, value } = access;
  checkMapType(v, pointer, off, size, type);
  checkMapAccess(v, pointer, off, size, false, 'direct');
  const r = v.reg(pointer);
  const map = v.mapOf(r);
  if (d.isConst(r)) {
    const at = off + d.value(r);
    const field = map.record?.fields.find(
      ({ kind, offset }) => offset === at && (kind.startsWith('kptr') || kind === 'uptr'),
    );
    if (field) {
      loadKernelPointer(v, access, field);
      return;
    }
  }
  if (type !== 'read' || value < 0) return;
  const into = v.reg(value);
  if (d.isConst(r) && map.frozen && map.flags & MapFlag.RdonlyProg && map.type === MapType.Array) {
    const constant = map.readConstant?.(off + d.value(r), size);
    if (constant !== undefined) {
      const extended = access.signExtend ? BigInt.asIntN(size * 8, constant) : constant;
      markUnknown(v, into);
      d.knownPair(into, Number(BigInt.asIntN(32, extended)), Number(BigInt.asIntN(32, extended >> 32n)));
      d.setPrecise(into, false);
      return;
    }
  }
  markUnknown(v, into);
}

/** LDX. */
export function checkLoad(v: Verifier, signExtend: boolean, strictAlignment = false): void {
  const slot = v.insn;
  const src = v.src[slot] as number;
  const dst = v.dst[slot] as number;
  const type = v.d.type(readReg(v, src));
  writeReg(v, dst, false);
  checkAccess(v, {
    pointer: src,
    off: v.off[slot] as number,
    size: sizeOf(v.code[slot] as number),
    type: 'read',
    value: dst,
    signExtend,
    strictAlignment,
  });
  savePointerType(v, type);
  checkBounds(v, v.reg(dst), strictAlignment ? 'atomic_load' : 'ldx');
}

/** STX. */
export function checkStore(v: Verifier, strictAlignment = false): void {
  const slot = v.insn;
  const src = v.src[slot] as number;
  const dst = v.dst[slot] as number;
  readReg(v, src);
  const type = v.d.type(readReg(v, dst));
  checkAccess(v, {
    pointer: dst,
    off: v.off[slot] as number,
    size: sizeOf(v.code[slot] as number),
    type: 'write',
    value: src,
    strictAlignment,
  });
  savePointerType(v, type);
}

/** ST. */
export function checkStoreImm(v: Verifier): void {
  const slot = v.insn;
  if (((v.code[slot] as number) & 0xe0) !== 0x60 || v.src[slot]) {
    v.reject(Errno.EINVAL, 'BPF_ST uses reserved fields');
  }
  const dst = v.dst[slot] as number;
  const type = v.d.type(readReg(v, dst));
  checkAccess(v, {
    pointer: dst,
    off: v.off[slot] as number,
    size: sizeOf(v.code[slot] as number),
    type: 'write',
    value: -1,
  });
  savePointerType(v, type);
}

/** Pointers whose access is rewritten into different instructions, so that one instruction cannot take both kinds. */
const rewritten = (type: number): boolean => {
  switch (baseType(type)) {
    case L.CTX:
    case L.SOCKET:
    case L.SOCK_COMMON:
    case L.TCP_SOCK:
    case L.XDP_SOCK:
    case L.ARENA:
      return true;
    case L.BTF_ID:
      return (type & L.UNTRUSTED) !== 0;
    default:
      return false;
  }
};

/** All paths go through the same kind of pointer at an instruction, where the kind matters. */
export function savePointerType(v: Verifier, type: number): void {
  const before = v.pointerType.get(v.insn);
  if (before === undefined || before === L.NOT_INIT) {
    v.pointerType.set(v.insn, type);
    return;
  }
  if (type !== before && (rewritten(type) || rewritten(before))) {
    // Trusted and untrusted pointers of the same kind: the careful way is taken for both.
    if (baseType(type) === L.BTF_ID && baseType(before) === L.BTF_ID) {
      v.pointerType.set(v.insn, type | before);
      return;
    }
    v.reject(Errno.EINVAL, 'same insn cannot be used with different pointers');
  }
}
