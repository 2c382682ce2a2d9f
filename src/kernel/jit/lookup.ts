// bpf_map_lookup_elem, inlined for arrays and called directly for hash maps. What it found is kept in locals: where the
// value is, and whether there is one. A branch that compares the result with null then asks the latter, and accesses
// behind it use the former, so that the pointer itself, with its upper half, is mostly not needed.

import { layout, POINTER_BASE } from '../memory/memory.js';
import { type AccessContext, pushAddress, pushKept } from './access.js';
import type { MapConstant } from './code.js';
import type { Provenance } from './provenance.js';
import type { Translator } from './translator.js';
import { I32, I64, Op } from './wasm.js';

/** What the lookup at a slot found, the last time. */
export interface Element {
  /** Address of the value (i32); anything when there is none. */
  readonly address: number;
  /** Not 0 when there is one (i32). */
  readonly present: number;
}

/** Keeps the pointer that a lookup found, when a later access is checked against it. */
export function keepElement(a: AccessContext, slot: number): void {
  const base = a.bases.get(slot);
  if (base === undefined) return;
  a.t.push(0);
  a.t.body.set(base);
}

/** Locals for the results of the lookups at `sites`. */
export function elementBases(t: Translator, sites: Iterable<number>): Map<number, number> {
  return new Map([...sites].map((site) => [site, t.body.local(I64)]));
}

/** Pushes whether register `r`, compared with null by the branch at `slot`, is something; false when only `r` can tell. */
export function pushFound(a: AccessContext, slot: number, r: number): boolean {
  const p = a.t.provenance(slot, r);
  const element = p?.kind === 'element' && !p.mixed && isAtBegin(p) ? a.elements.get(p.site) : undefined;
  if (!element) return false;
  a.t.body.get(element.present);
  return true;
}

const isAtBegin = (p: Extract<Provenance, { kind: 'element' }>): boolean => p.offset === 0 && p.slack === 0;

/** bpf_map_lookup_elem on a known map, without a generic call; false when there is no such way. */
export function lookup(a: AccessContext, slot: number, map: MapConstant): boolean {
  const { t } = a;
  const { body } = t;
  switch (map.kind) {
    case 'array':
    case 'percpu-array': {
      const element = a.elements.get(slot) ?? { address: body.local(I32), present: body.local(I32) };
      const index = t.scratch(I32);
      if (!pushKept(a, slot)) body.memory(Op.i32_load, pushAddress(a, slot, 2, 0, 4, false));
      body.set(index);
      const p = a.provenance.reads.get(slot)?.value;
      if (p?.kind === 'number' && p.max < map.maxEntries) body.i32(1);
      else body.get(index).i32(map.maxEntries).op(Op.i32_lt_u);
      body.set(element.present);
      body.get(index).i32(map.elementSize).op(Op.i32_mul).i32(map.values).op(Op.i32_add);
      if (map.kind === 'percpu-array') {
        t.loadCpu(layout.Cpu_id);
        body.i32(map.cpuStride).op(Op.i32_mul).op(Op.i32_add);
      }
      body.set(element.address);
      found(a, slot, element);
      return true;
    }
    case 'hash':
    case 'percpu-hash': {
      const address = a.elements.get(slot)?.address ?? body.local(I32);
      body.i32(map.address);
      const offset = pushAddress(a, slot, 2, 0, map.keySize, false);
      if (offset !== 0) body.i32(offset).op(Op.i32_add);
      if (map.kind === 'percpu-hash') t.loadCpu(layout.Cpu_id);
      body.call(callee(t, map)).set(address);
      found(a, slot, { address, present: address });
      return true;
    }
    default:
      return false;
  }
}

function callee({ callees: { runtime } }: Translator, map: MapConstant): number {
  if (map.kind === 'percpu-hash') return runtime.percpu_htab_lookup;
  switch (map.keySize) {
    case 4:
      return runtime.htab_lookup_4;
    case 8:
      return runtime.htab_lookup_8;
    case 16:
      return runtime.htab_lookup_16;
    default:
      return runtime.htab_lookup;
  }
}

/** r0 is the kernel pointer of the element, or null. */
function found(a: AccessContext, slot: number, element: Element): void {
  const { body } = a.t;
  a.elements.set(slot, element);
  body.get(element.address).op(Op.i64_extend_i32_u).i64big(POINTER_BASE).op(Op.i64_or);
  body.i64(0).get(element.present).op(Op.select);
  a.t.pop(0);
}
