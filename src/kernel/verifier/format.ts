// bpf_snprintf's format against its arguments: conversions that there are, and a number for each.

import { Errno } from '../../bpf/errno.js';
import { printf } from '../helpers/printf.js';
import { readString } from './arguments.js';
import type { Verifier } from './verifier.js';

/** Nothing is read through pointers here: only the format is looked at. */
const noMemory = { bytesAt: () => new Uint8Array(0) };

/** The format is in r3, a constant string by now; the bytes of its arguments in r5. */
export function checkFormat(v: Verifier): void {
  const { d } = v;
  const size = d.value(v.reg(5));
  if (size % 8) v.reject(Errno.EINVAL);
  const format = v.reg(3);
  const text = readString(v.mapOf(format), d.off(format) + d.value(format));
  if (!text) v.bug('snprintf format');
  // The packing of the arguments is where the format is judged; that they do not fit is found out when it runs.
  const { result } = printf(Uint8Array.from([...text, 0]), new BigUint64Array(size / 8), noMemory);
  if (result === -Errno.EINVAL) v.reject(Errno.EINVAL, 'Invalid format string');
}
