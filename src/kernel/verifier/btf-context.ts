// Contexts whose slots are the parameters of a kernel function, typed by BTF.

import type { MemoryAccess } from './access.js';
import { refuseContext } from './context.js';
import type { Verifier } from './verifier.js';

export function checkArgument(v: Verifier, access: MemoryAccess, off: number): void {
  refuseContext(v, off, access.size);
}
