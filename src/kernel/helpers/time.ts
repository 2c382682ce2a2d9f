// Clocks. Bodies: runtime/helpers/time.ts, but for the one that follows the wall clock.

import { type HelperBody, inRuntime } from './definition.js';

export const timeHelpers: readonly HelperBody[] = [
  ...inRuntime('ktime_get_ns', 'jiffies64', 'ktime_get_boot_ns', 'ktime_get_coarse_ns'),
  // Nobody has told the emulated kernel the number of leap seconds: TAI is UTC, as in Linux before a time service sets
  // the offset. A millisecond is all that the host's wall clock tells.
  ['ktime_get_tai_ns', () => BigInt(Date.now()) * 1_000_000n],
];
