// Tiny programs straight into BPF_PROG_LOAD, thousands a second: what the live kernel says of one instruction.

import { readFileSync } from 'node:fs';
import koffi from 'koffi';
import { Btf } from '../../src/btf/index.js';

const libc = koffi.load(null);
const SYSCALL: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };
const number = SYSCALL[process.arch] ?? 321;
const syscall = libc.func('long syscall(long number, long command, void *attr, unsigned long size)');
const closeFd = libc.func('int close(int fd)');
const address = (bytes: Uint8Array): bigint => koffi.address(bytes);

/** One 8-byte instruction. */
export const insn = (opcode: number, dst = 0, src = 0, off = 0, imm = 0): Uint8Array => {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, opcode);
  view.setUint8(1, (src << 4) | dst);
  view.setInt16(2, off, true);
  view.setUint32(4, imm >>> 0, true);
  return bytes;
};
export const exit = insn(0x95);
export const mov = (dst: number, imm: number) => insn(0xb7, dst, 0, 0, imm);
export const movReg = (dst: number, src: number) => insn(0xbf, dst, src);
export const add = (dst: number, imm: number) => insn(0x07, dst, 0, 0, imm);
export const call = (id: number) => insn(0x85, 0, 0, 0, id);
const sizeBits: Readonly<Record<number, number>> = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 };
const bits = (size: number): number => sizeBits[size] ?? 0;
export const ldx = (size: number, dst: number, src: number, off: number) =>
  insn(0x61 | bits(size), dst, src, off);
export const stx = (size: number, dst: number, off: number, src: number) =>
  insn(0x63 | bits(size), dst, src, off);
export const st = (size: number, dst: number, off: number, imm: number) =>
  insn(0x62 | bits(size), dst, 0, off, imm);
/** A map's address, or with `value` that of its first element. */
export const ldMap = (dst: number, fd: number, value = false): Uint8Array =>
  concat([insn(0x18, dst, value ? 2 : 1, 0, fd), insn(0)]);

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export interface RawLoad {
  readonly type: number;
  readonly insns: readonly Uint8Array[];
  readonly attach?: number | undefined;
  readonly flags?: number | undefined;
  /** attach_btf_id. */
  readonly btfId?: number | undefined;
  readonly license?: string | undefined;
  /** 0: no log, several times faster. */
  readonly logLevel?: number | undefined;
}

export interface RawVerdict {
  /** 0 when the kernel took it. */
  readonly errno: number;
  readonly log: string;
}

const attr = new Uint8Array(152);
const attrView = new DataView(attr.buffer);
const logBuffer = new Uint8Array(1 << 16);
const decoder = new TextDecoder();
const encoder = new TextEncoder();
const name = encoder.encode('tables');

/** Arrays whose addresses the kernel was given: nothing else holds them until it has read them. */
const held: Uint8Array[] = [];
const hold = (...arrays: readonly Uint8Array[]): void => {
  held.length = 0;
  held.push(...arrays);
};

/** What the kernel says of a program, which is dropped at once. */
export function loadRaw(load: RawLoad): RawVerdict {
  const { fd, errno, log } = loadOpen(load);
  if (fd >= 0) closeFd(fd);
  return { errno, log };
}

/** Bytes of the program as the kernel has rewritten it; undefined when it was refused. */
export function rewrittenSize(load: RawLoad): number | undefined {
  const { fd } = loadOpen(load);
  if (fd < 0) return undefined;
  const info = new Uint8Array(256);
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, fd, true);
  view.setUint32(4, info.length, true);
  view.setBigUint64(8, address(info), true);
  const result = syscall(number, 15, bytes, bytes.length) as number;
  closeFd(fd);
  // struct bpf_prog_info: type, id, tag, jited_prog_len, xlated_prog_len.
  return result < 0 ? undefined : new DataView(info.buffer).getUint32(20, true);
}

function loadOpen(load: RawLoad): RawVerdict & { fd: number } {
  const code = concat(load.insns);
  const license = encoder.encode(`${load.license ?? 'GPL'}\0`);
  const level = load.logLevel ?? 1;
  hold(code, license);
  attr.fill(0);
  attrView.setUint32(0, load.type, true);
  attrView.setUint32(4, code.length / 8, true);
  attrView.setBigUint64(8, address(code), true);
  attrView.setBigUint64(16, address(license), true);
  attrView.setUint32(24, level, true);
  if (level) {
    logBuffer[0] = 0;
    attrView.setUint32(28, logBuffer.length, true);
    attrView.setBigUint64(32, address(logBuffer), true);
  }
  attrView.setUint32(44, load.flags ?? 0, true);
  attr.set(name, 48);
  attrView.setUint32(68, load.attach ?? 0, true);
  attrView.setUint32(108, load.btfId ?? 0, true);
  const fd = syscall(number, 5, attr, attr.length) as number;
  const errno = fd < 0 ? koffi.errno() : 0;
  const log = level ? decoder.decode(logBuffer.subarray(0, logBuffer.indexOf(0))) : '';
  return { fd, errno, log };
}

/** A map; throws with the errno when the kernel refuses it. */
export function createRaw(
  type: number,
  keySize: number,
  valueSize: number,
  entries: number,
  more: {
    flags?: number;
    inner?: number;
    extra?: bigint;
    btf?: { fd: number; key: number; value: number };
  } = {},
): number {
  const bytes = new Uint8Array(72);
  const view = new DataView(bytes.buffer);
  [type, keySize, valueSize, entries, more.flags ?? 0, more.inner ?? 0].forEach((value, i) => {
    view.setUint32(i * 4, value, true);
  });
  if (more.btf) {
    view.setUint32(48, more.btf.fd, true);
    view.setUint32(52, more.btf.key, true);
    view.setUint32(56, more.btf.value, true);
  }
  view.setBigUint64(64, more.extra ?? 0n, true);
  const fd = syscall(number, 0, bytes, bytes.length) as number;
  if (fd < 0) throw new Error(`map type ${type}: errno ${koffi.errno()}`);
  return fd;
}

/** Makes a map read-only for user space. */
export function freezeRaw(fd: number): void {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(0, fd, true);
  if (syscall(number, 22, bytes, bytes.length) !== 0) throw new Error(`freeze: errno ${koffi.errno()}`);
}

/** BPF_BTF_LOAD. */
export function loadBtfRaw(btf: Uint8Array): number {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  hold(btf);
  view.setBigUint64(0, address(btf), true);
  view.setUint32(16, btf.length, true);
  const fd = syscall(number, 18, bytes, bytes.length) as number;
  if (fd < 0) throw new Error(`BTF: errno ${koffi.errno()}`);
  return fd;
}

export const closeRaw = (fd: number): void => {
  closeFd(fd);
};

let kernel: Btf | undefined;
/** The machine's own BTF. */
export const kernelBtf = (): Btf => {
  kernel ??= Btf.parse(readFileSync('/sys/kernel/btf/vmlinux'));
  return kernel;
};
