// What the live kernel lets a program call, asked one call at a time.

import { helperNames } from '../../src/bpf/helpers.js';
import type { LoadCase } from './cases.js';
import { call, exit, loadRaw, mov } from './raw.js';

/** Names of the helpers that a program may call. */
export function observeHelpers(one: LoadCase): string[] {
  const found: string[] = [];
  for (let id = 1; id < helperNames.length; id++) {
    const { errno, log } = loadRaw({ ...one, insns: [call(id), mov(0, 0), exit] });
    // Other refusals are about the arguments, which are wrong for most.
    if (errno && /program of this type cannot use helper|invalid func |unknown func /.test(log)) continue;
    if (errno && !log.includes(`call bpf_${helperNames[id]}#${id}`)) {
      throw new Error(
        `${one.label}, ${helperNames[id]}: errno ${errno} before the call was looked at: ${log}`,
      );
    }
    found.push(helperNames[id] ?? '');
  }
  return found;
}
