// What a function of the program finds in its registers when a helper calls it back.

import { Errno } from '../../bpf/errno.js';
import type { CallFacts } from './arguments.js';
import { type Address, layout as L } from './domain.js';
import { setDynptrArgument } from './dynptr.js';
import { markPointer, markUnknown } from './registers.js';
import type { SetCallee } from './subprogram-calls.js';
import { mapUse } from './tables/map-helpers.js';
import type { Verifier } from './verifier.js';

type Fill = (reg: (i: number) => Address, from: (i: number) => Address) => void;

/** A synchronous callback that returns `range`. */
function synchronous(v: Verifier, range: readonly [number, number], fill: Fill): SetCallee {
  const { d } = v;
  return (caller, callee) => {
    fill(
      (i) => d.reg(callee, i),
      (i) => d.reg(caller, i),
    );
    d.set(callee, L.Frame_inCallback, 1);
    d.set(callee, L.Frame_returnMin, range[0]);
    d.set(callee, L.Frame_returnMax, range[1]);
  };
}

/** Key and value of an element of a map, in r2 and r3. */
function setElement(v: Verifier, reg: (i: number) => Address, map: number, uid: number): void {
  const { d } = v;
  for (const [i, type] of [
    [2, L.MAP_KEY],
    [3, L.MAP_VALUE],
  ] as const) {
    markPointer(v, reg(i), type);
    d.setObject(reg(i), 0, map);
    d.setObject(reg(i), 1, uid);
  }
}

/** bpf_timer_set_callback and bpf_wq_set_callback: the map, key and value of the element that the timer is in. */
export function timerCallback(v: Verifier): SetCallee {
  const { d } = v;
  return (caller, callee) => {
    const timer = d.reg(caller, 1);
    const map = d.object(timer, 0);
    const uid = d.object(timer, 1);
    markPointer(v, d.reg(callee, 1), L.MAP_PTR);
    d.setObject(d.reg(callee, 1), 0, map);
    d.setObject(d.reg(callee, 1), 1, uid);
    setElement(v, (i) => d.reg(callee, i), map, uid);
    d.set(callee, L.Frame_inAsyncCallback, 1);
    d.set(callee, L.Frame_returnMin, 0);
    d.set(callee, L.Frame_returnMax, 0);
  };
}

export function callbackOf(v: Verifier, { signature, map }: CallFacts): SetCallee {
  const { d } = v;
  switch (signature.name) {
    case 'for_each_map_elem': {
      if (!map || !mapUse(map.type)?.forEach) {
        return v.reject(Errno.ENOTSUPP, 'callback function not allowed for map');
      }
      return synchronous(v, [0, 1], (to, from) => {
        d.copyReg(to(1), from(1));
        setElement(v, to, d.object(from(1), 0), d.object(from(1), 1));
        d.copyReg(to(4), from(3));
      });
    }
    case 'loop':
      return synchronous(v, [0, 1], (to, from) => {
        // The number of the round: nothing is known of it.
        markUnknown(v, to(1));
        d.copyReg(to(2), from(3));
      });
    case 'timer_set_callback':
      return timerCallback(v);
    case 'find_vma':
      return synchronous(v, [0, 1], (to, from) => {
        d.copyReg(to(1), from(1));
        markPointer(v, to(2), L.BTF_ID);
        v.setKernelType(to(2), 'vm_area_struct');
        d.copyReg(to(3), from(4));
      });
    default:
      return synchronous(v, [0, 1], (to, from) => {
        setDynptrArgument(v, to(1));
        d.copyReg(to(2), from(3));
      });
  }
}
