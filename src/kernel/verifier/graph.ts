// Kernel functions for objects that a program allocates, and for what lies in map values: lists, trees, work queues.

import { Errno } from '../../bpf/errno.js';
import type { KfuncCall } from './kfunc-call.js';
import type { Verifier } from './verifier.js';

/** Arguments that are such objects, or fields of them. */
export type ObjectKind =
  | 'allocated'
  | 'refcounted'
  | 'list-head'
  | 'list-node'
  | 'rb-root'
  | 'rb-node'
  | 'workqueue'
  | 'task-work'
  | 'res-spin-lock';

/** Argument `number` is an object of this kind. */
export function checkObject(v: Verifier, _call: KfuncCall, number: number, kind: ObjectKind): void {
  v.reject(Errno.EINVAL, `arg#${number - 1} expected pointer to ${kind}`);
}

/** After the arguments: callbacks are followed, what was put into a list or tree is owned no more. */
export function objectEffects(_v: Verifier, _call: KfuncCall): void {}

/** Sets r0 of a function that returns such an object; false when it is none. */
export function objectResult(_v: Verifier, _call: KfuncCall): boolean {
  return false;
}

/** After r0 is set, with its flags: a node that is still in its list or tree is not owned. */
export function finishObjectResult(_v: Verifier, _call: KfuncCall): void {}
