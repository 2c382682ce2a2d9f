// The words that helper signatures are written in. A row reads as the prototype does:
//
//     row(26, 'skb_load_bytes', '4.5', [ctx, anything, memOut, size], integer)

import { ProgType } from '../../../../bpf/types.js';
import type { HelperArg, HelperReturn, HelperSignature } from '../types.js';

// Arguments.
export const anything: HelperArg = { kind: 'anything' };
export const ctx: HelperArg = { kind: 'ctx' };
export const ctxOrNull: HelperArg = { kind: 'ctx', nullable: true };
export const map: HelperArg = { kind: 'const-map-ptr' };
export const mapKey: HelperArg = { kind: 'map-key' };
export const mapValue: HelperArg = { kind: 'map-value' };
export const mapValueOrNull: HelperArg = { kind: 'map-value', nullable: true };
export const mapValueOut: HelperArg = { kind: 'map-value', uninit: true, write: true };
/** Memory that the helper reads; its size is the next argument. */
export const memIn: HelperArg = { kind: 'mem', readOnly: true };
export const memInOrNull: HelperArg = { kind: 'mem', readOnly: true, nullable: true };
/** Memory that the helper fills. */
export const memOut: HelperArg = { kind: 'mem', uninit: true, write: true };
/** Memory that must be initialised and that the helper writes. */
export const memInOut: HelperArg = { kind: 'mem', write: true };
export const memInOutOrNull: HelperArg = { kind: 'mem', write: true, nullable: true };
/** Memory of a fixed number of bytes that the helper reads. */
export const fixedIn = (size: number): HelperArg => ({ kind: 'fixed-mem', size, readOnly: true });
export const fixedOut = (size: number): HelperArg => ({
  kind: 'fixed-mem',
  size,
  uninit: true,
  write: true,
  aligned: true,
});
export const fixedInOut = (size: number): HelperArg => ({
  kind: 'fixed-mem',
  size,
  write: true,
  aligned: true,
});
export const size: HelperArg = { kind: 'const-size' };
export const sizeOrZero: HelperArg = { kind: 'const-size-or-zero' };
export const allocSize: HelperArg = { kind: 'const-alloc-size-or-zero' };
export const spinLock: HelperArg = { kind: 'spin-lock' };
export const sockCommon: HelperArg = { kind: 'sock-common' };
export const socketOrNull: HelperArg = { kind: 'socket', nullable: true };
export const btfSock: HelperArg = { kind: 'btf-id-sock-common', btf: 'sock_common' };
export const btfSockOrNull: HelperArg = { ...btfSock, nullable: true };
export const btfSockRelease: HelperArg = { ...btfSock, release: true };
/** A BTF pointer to a kernel structure. */
export const btf = (name: string): HelperArg => ({ kind: 'btf-id', btf: name });
export const btfOrNull = (name: string): HelperArg => ({ kind: 'btf-id', btf: name, nullable: true });
export const percpu: HelperArg = { kind: 'percpu-btf-id' };
export const ringbufRelease: HelperArg = { kind: 'ringbuf-mem', release: true };
export const func: HelperArg = { kind: 'func' };
export const stackOrNull: HelperArg = { kind: 'stack', nullable: true };
export const constStr: HelperArg = { kind: 'const-str' };
export const timer: HelperArg = { kind: 'timer' };
export const kptrDest: HelperArg = { kind: 'kptr-xchg-dest' };
/** What goes into the kptr; its type is that of the field. */
export const kptrRelease: HelperArg = { kind: 'btf-id', nullable: true, release: true };
/** A dynptr of any kind, which the helper does not change. */
export const dynptr: HelperArg = { kind: 'dynptr', readOnly: true };
export const newDynptr = (kind: 'local' | 'ringbuf'): HelperArg => ({
  kind: 'dynptr',
  dynptr: kind,
  uninit: true,
  write: true,
});
export const dynptrRelease = (kind: 'local' | 'ringbuf'): HelperArg => ({
  kind: 'dynptr',
  dynptr: kind,
  release: true,
});

// Results.
export const integer: HelperReturn = { kind: 'integer' };
export const nothing: HelperReturn = { kind: 'void' };
export const mapValueResult: HelperReturn = { kind: 'map-value' };
export const mapValueOrNullResult: HelperReturn = { kind: 'map-value', nullable: true };
export const socketResult: HelperReturn = { kind: 'socket', nullable: true };
export const sockCommonResult: HelperReturn = { kind: 'sock-common', nullable: true };
export const tcpSockResult: HelperReturn = { kind: 'tcp-sock', nullable: true };
export const ringbufMemResult: HelperReturn = { kind: 'ringbuf-mem', nullable: true };
export const dynptrMemResult: HelperReturn = { kind: 'dynptr-mem', nullable: true };
export const percpuResult: HelperReturn = { kind: 'mem-or-btf-id', readOnly: true };
export const percpuResultOrNull: HelperReturn = { ...percpuResult, nullable: true };
export const btfResult = (name: string): HelperReturn => ({ kind: 'btf-id', btf: name });
export const trustedResult = (name: string): HelperReturn => ({ kind: 'btf-id', btf: name, trusted: true });
export const btfResultOrNull = (name: string): HelperReturn => ({
  kind: 'btf-id',
  btf: name,
  nullable: true,
});
/** What was in the kptr before. */
export const kptrResult: HelperReturn = { kind: 'btf-id', nullable: true };

/** Program types that share the helpers of tracing (bpf_tracing_func_proto). */
export const tracingTypes: readonly ProgType[] = [
  ProgType.Kprobe,
  ProgType.Tracepoint,
  ProgType.PerfEvent,
  ProgType.RawTracepoint,
  ProgType.RawTracepointWritable,
  ProgType.Tracing,
  ProgType.Lsm,
];

/** A signature; `since` is the kernel that had it first. */
export const row = (
  id: number,
  name: string,
  since: string,
  args: readonly HelperArg[],
  returns: HelperReturn,
  more: Omit<HelperSignature, 'id' | 'name' | 'since' | 'args' | 'returns'> = {},
): HelperSignature => ({ id, name, since, args, returns, ...more });
