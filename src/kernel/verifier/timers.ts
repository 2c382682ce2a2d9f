// bpf_timer, bpf_wq and bpf_task_work in map values. The map that a timer is in, and (for values of inner maps) which
// lookup it came from, must be those of the other arguments.

import { Errno } from '../../bpf/errno.js';
import type { CallFacts } from './arguments.js';
import type { VerifierMap } from './program.js';
import { fieldOf, type SpecialKind } from './record.js';
import type { Verifier } from './verifier.js';

/** A bpf_timer that a helper is given. */
export function checkTimer(v: Verifier, facts: CallFacts, number: number): void {
  const { map, uid } = findTimer(v, number, 'timer', 'bpf_timer');
  if (facts.map) v.bug('Two map pointers in a timer helper');
  facts.map = map;
  facts.mapUid = uid;
}

/** The field of a map value that register `number` points to, and the map it is in. */
export function findTimer(
  v: Verifier,
  number: number,
  kind: SpecialKind,
  name: string,
): { map: VerifierMap; uid: number } {
  const { d } = v;
  const r = v.reg(number);
  const refuse = (text: string) => v.reject(Errno.EINVAL, text);
  const map = v.mapOf(r);
  if (!d.isConst(r)) {
    refuse(`R${number} doesn't have constant offset. ${name} has to be at the constant offset`);
  }
  if (!map.btf) refuse(`map '${map.name}' has to have BTF in order to use ${name}`);
  const field = fieldOf(map.record, kind);
  if (!field) return refuse(`map '${map.name}' has no valid ${name}`);
  const off = d.value(r) + d.off(r);
  if (field.offset !== off) {
    refuse(`off ${off} doesn't point to 'struct ${name}' that is at ${field.offset}`);
  }
  return { map, uid: d.object(r, 1) };
}
