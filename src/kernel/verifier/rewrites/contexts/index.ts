// Accesses to the context and to sockets become accesses to the kernel's own structures (Linux: convert_ctx_accesses).

import { ProgType } from '../../../../bpf/types.js';
import { InsnClass, Mode } from '../../../../isa/opcodes.js';
import { layout as L } from '../../domain.js';
import { baseType } from '../../registers.js';
import { rulesOf, socketPointers } from '../../tables/contexts/index.js';
import type { ContextField } from '../../tables/types.js';
import { Mark } from '../../verifier.js';
import type { Code, Insn, InsnFields } from '../code.js';
import { alu32Imm, aluImm, type Bytes, load, movSigned, nospec } from '../emit.js';
import type { RewriteFacts } from '../facts.js';
import type { KernelLayout } from '../layout.js';
import { perfEvent, sockopt, sysctl } from './others.js';
import { classifier, flowDissector, skb, streamed } from './skb.js';
import { skLookup, skMsg, skReuseport, sock, sockAddr, sockOps, tcpSock, xdpSock } from './sockets.js';
import type { Conversions } from './words.js';
import { xdp } from './xdp.js';

/** Program types that are missing here have the kernel's own structure as their context. */
const byProgram: ReadonlyMap<ProgType, Conversions> = new Map([
  [ProgType.SocketFilter, skb],
  [ProgType.SchedCls, classifier],
  [ProgType.SchedAct, classifier],
  [ProgType.CgroupSkb, skb],
  [ProgType.LwtIn, skb],
  [ProgType.LwtOut, skb],
  [ProgType.LwtXmit, skb],
  [ProgType.LwtSeg6local, skb],
  [ProgType.SkSkb, streamed],
  [ProgType.FlowDissector, flowDissector],
  [ProgType.Xdp, xdp],
  [ProgType.CgroupSock, sock],
  [ProgType.CgroupSockAddr, sockAddr],
  [ProgType.SockOps, sockOps],
  [ProgType.SkMsg, skMsg],
  [ProgType.SkReuseport, skReuseport],
  [ProgType.SkLookup, skLookup],
  [ProgType.CgroupSockopt, sockopt],
  [ProgType.CgroupSysctl, sysctl],
  [ProgType.PerfEvent, perfEvent],
]);

interface Structure {
  readonly fields: readonly ContextField[];
  readonly conversions: Conversions;
}

const SIZES: readonly Bytes[] = [4, 2, 1, 8];
const sizeOf = ({ code }: Insn): Bytes => SIZES[(code >> 3) & 3] as Bytes;

export function convertContexts(code: Code, facts: RewriteFacts, layout: KernelLayout): void {
  const { type } = facts.program;
  const context = rulesOf(type)?.context;
  const own = byProgram.get(type);
  const structures = new Map<number, Structure>([
    [L.SOCKET, { fields: socketPointers.socket.fields, conversions: sock }],
    [L.SOCK_COMMON, { fields: socketPointers['sock-common'].fields, conversions: sock }],
    [L.TCP_SOCK, { fields: socketPointers['tcp-sock'].fields, conversions: tcpSock }],
    [L.XDP_SOCK, { fields: socketPointers['xdp-sock'].fields, conversions: xdpSock }],
  ]);
  if (own && context?.kind === 'fields') structures.set(L.CTX, { fields: context.fields, conversions: own });
  const fieldOf = (insn: Insn): { field: ContextField; structure: Structure } | undefined => {
    const pointer = facts.pointerType.get(insn.origin);
    if (pointer === undefined) return undefined;
    const structure =
      structures.get(pointer) ?? (baseType(pointer) === L.CTX ? structures.get(L.CTX) : undefined);
    const { off } = insn;
    const field = structure?.fields.find((one) => off >= one.offset && off < one.offset + one.size);
    return structure && field && { field, structure };
  };
  let knowsTimestamps = false;
  if (type === ProgType.SchedCls || type === ProgType.SchedAct) {
    for (const insn of code)
      if (isAccess(insn) && fieldOf(insn)?.field.name === 'tstamp_type') knowsTimestamps = true;
  }
  for (const insn of code) {
    const marks = facts.marks[insn.origin] ?? 0;
    const patch: InsnFields[] = [];
    if (marks & Mark.NOSPEC) patch.push(nospec());
    const access = isAccess(insn);
    const found = access ? fieldOf(insn) : undefined;
    // A store that speculation must stop after is left alone otherwise.
    if (access && insn.class !== InsnClass.LDX && marks & Mark.NOSPEC_RESULT) {
      code.replace(insn, [...patch, insn.copy(), nospec()]);
      continue;
    }
    const converted = found && convert(insn, found.field, found.structure, layout, knowsTimestamps);
    if (converted) patch.push(...converted);
    else if (patch.length > 0) patch.push(insn.copy());
    if (patch.length > 0) code.replace(insn, patch);
  }
}

/** Loads and stores; atomic ones are none of these. */
function isAccess(insn: Insn): boolean {
  const mode = insn.code & 0xe0;
  if (insn.class === InsnClass.LDX) return mode === Mode.MEM || mode === Mode.MEMSX;
  return (insn.class === InsnClass.ST || insn.class === InsnClass.STX) && mode === Mode.MEM;
}

/** Bytes that a field is read with at once: a smaller load is widened to it, and cut. 0: loads are as they are. */
function wholeSize(field: ContextField, write: boolean, size: number): number {
  const rule = write ? field.write : field.read;
  if (!rule?.sizes.startsWith('narrow')) return 0;
  if (size === rule.orBytes) return size;
  return field.unit ?? field.size;
}

function convert(
  insn: Insn,
  field: ContextField,
  { conversions }: Structure,
  layout: KernelLayout,
  knowsTimestamps: boolean,
): InsnFields[] | undefined {
  const conversion = conversions[field.name];
  if (!conversion) return undefined;
  const write = insn.class !== InsnClass.LDX;
  const size = sizeOf(insn);
  const whole = wholeSize(field, write, size);
  const narrow = size < whole;
  const wideSize = whole === 4 ? 4 : whole === 8 ? 8 : 2;
  const off = narrow ? insn.off & ~(wideSize - 1) : insn.off;
  const wide = narrow ? insn.copy({ code: load(wideSize, 0, 0, 0).code, off }) : insn;
  const { insns, target } = conversion({
    insn: wide,
    write,
    at: off - field.offset,
    size: narrow ? wideSize : size,
    layout,
    knowsTimestamps,
  });
  const { dst } = insn;
  if (narrow && size < target) {
    const shift = (insn.off & (wideSize - 1)) * 8;
    // The mask of four bytes is all ones.
    const mask = size === 4 ? -1 : (1 << (size * 8)) - 1;
    if (shift) insns.push(whole <= 4 ? alu32Imm('RSH', dst, shift) : aluImm('RSH', dst, shift));
    insns.push(alu32Imm('AND', dst, mask));
  }
  if ((insn.code & 0xe0) === Mode.MEMSX) insns.push(movSigned(dst, dst, size * 8));
  return insns;
}
