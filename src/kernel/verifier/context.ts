// Accesses to the context: which fields a program may read and write, and what a load of one gives.

import { Errno } from '../../bpf/errno.js';
import type { MemoryAccess } from './access.js';
import { checkArgument } from './btf-context.js';
import { layout as L } from './domain.js';
import { markPointer, markUnknown } from './registers.js';
import { contextAccess } from './tables/contexts/index.js';
import type { ContextPointer } from './tables/types.js';
import type { Verifier } from './verifier.js';

const TYPES: Readonly<Record<ContextPointer['kind'], number>> = {
  packet: L.PACKET,
  'packet-meta': L.PACKET_META,
  'packet-end': L.PACKET_END,
  'flow-keys': L.FLOW_KEYS,
  socket: L.SOCKET,
  'sock-common': L.SOCK_COMMON,
  'tp-buffer': L.TP_BUFFER,
  buffer: L.BUF,
  'btf-id': L.BTF_ID,
};

/** `off` includes the pointer's own. */
export function checkContextAccess(v: Verifier, access: MemoryAccess, off: number): void {
  const { size, type, value } = access;
  const { context } = v.rules;
  v.contextSize = Math.max(v.contextSize, off + size);
  if (context.kind === 'arguments' || context.kind === 'target') {
    checkArgument(v, access, off);
    return;
  }
  const allowed = contextAccess(
    context,
    {
      offset: off,
      size,
      write: type === 'write',
      ...(access.signExtend ? { signExtend: true } : {}),
      ...(v.bpfCapable ? {} : { unprivileged: true }),
    },
    v.program.expectedAttachType,
  );
  if (!allowed) refuseContext(v, off, size);
  if (type !== 'read' || value < 0) return;
  const r = v.reg(value);
  const { yields } = allowed;
  if (!yields) {
    markUnknown(v, r);
    return;
  }
  let regType = TYPES[yields.kind];
  if (yields.nullable) regType |= L.MAYBE_NULL;
  if (yields.readOnly) regType |= L.RDONLY;
  if (yields.trusted) regType |= L.TRUSTED;
  markPointer(v, r, regType);
  if (yields.nullable) v.d.setId(r, v.newId());
  if (yields.btf) v.setKernelType(r, yields.btf);
}

export function refuseContext(v: Verifier, off: number, size: number): never {
  v.log.write(`invalid bpf_context access off=${off} size=${size}\n`);
  v.showLine(v.insn);
  return v.reject(Errno.EACCES);
}
