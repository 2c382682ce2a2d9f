// What a program, and a callback, may return.

import { Errno } from '../../bpf/errno.js';
import { hookRange } from './attach.js';
import { type Address, layout as L } from './domain.js';
import { markPrecise } from './precision.js';
import { typeName } from './print.js';
import { isPointerValue, readReg } from './registers.js';
import type { Verifier } from './verifier.js';

export type Range = readonly [min: number, max: number];

/** The message for a number that is not in the range. */
export function refuseScalar(v: Verifier, r: Address, range: Range, context: string, name: string): never {
  const { d } = v;
  const smin = d.big(r, L.Reg_smin);
  const smax = d.big(r, L.Reg_smax);
  let text = '';
  if (smin > -(2n ** 63n)) text += ` smin=${smin}`;
  if (smax < 2n ** 63n - 1n) text += ` smax=${smax}`;
  if (!text) text = ' unknown scalar value';
  return v.reject(
    Errno.EINVAL,
    `${context} the register ${name} has${text} should have been in [${range[0]}, ${range[1]}]`,
  );
}

export const within = (v: Verifier, r: Address, [min, max]: Range): boolean =>
  min <= v.d.smin(r) && v.d.smax(r) <= max;

/** The main program, an asynchronous callback or a global function ends; or an exception is thrown with R1. */
export function checkReturn(v: Verifier, number: number): void {
  const { d } = v;
  const frame = v.frameAt(0);
  const subprog = d.get(frame, L.Frame_subprog) !== 0;
  const exception = d.get(frame, L.Frame_inExceptionCallback) !== 0;
  const main = !subprog || exception;
  if (main && v.returnsNothing) return;
  const r = readReg(v, number);
  if (isPointerValue(v, r)) v.reject(Errno.EACCES, `R${number} leaks addr as return value`);
  let range: Range | undefined;
  let context = 'At program exit';
  if (d.get(frame, L.Frame_inAsyncCallback)) {
    context = 'At async callback return';
    range = [d.get(frame, L.Frame_returnMin), d.get(frame, L.Frame_returnMax)];
  } else if (!main) {
    if (d.type(r) !== L.SCALAR) {
      v.reject(
        Errno.EINVAL,
        `At subprogram exit the register R${number} is not a scalar value (${typeName(d.type(r))})`,
      );
    }
    return;
  } else {
    range = returnRange(v);
  }
  if (!range) return;
  if (d.type(r) !== L.SCALAR) {
    v.reject(
      Errno.EINVAL,
      `${context} the register R${number} is not a known value (${typeName(d.type(r))})`,
    );
  }
  markPrecise(v, number);
  if (!within(v, r, range)) refuseScalar(v, r, range, context, `R${number}`);
}

/** The range that the program type (and its attach type) asks for; undefined: anything. */
function returnRange(v: Verifier): Range | undefined {
  const attach = v.program.expectedAttachType;
  const rule = v.rules.returns.find((one) => !one.attach || one.attach.includes(attach));
  if (rule?.range === 'hook') return hookRange(v);
  return rule && typeof rule.range !== 'string' ? rule.range : undefined;
}
