// A kernel that says nothing of itself: no version, no settings, no types.

import { BpfError, Errno } from '../../src/bpf/errno.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';

export class SilentKernel extends EmulatedKernel {
  override async readFile(path: string): Promise<Uint8Array> {
    throw new BpfError('open', Errno.ENOENT, path);
  }
}
