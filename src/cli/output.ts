// Standard output, at the pace of whoever reads it.

import { once } from 'node:events';

/** Writes, and waits while the reader is slow. */
export async function write(data: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(data)) await once(process.stdout, 'drain');
}
