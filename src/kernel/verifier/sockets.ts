// Reads through socket pointers.

import { Errno } from '../../bpf/errno.js';
import { type Address, layout as L } from './domain.js';
import { typeName } from './print.js';
import { contextAccess, socketPointers } from './tables/contexts/index.js';
import type { Verifier } from './verifier.js';

const layouts: Readonly<Record<number, keyof typeof socketPointers>> = {
  [L.SOCKET]: 'socket',
  [L.SOCK_COMMON]: 'sock-common',
  [L.TCP_SOCK]: 'tcp-sock',
  [L.XDP_SOCK]: 'xdp-sock',
};

export function checkSocketAccess(v: Verifier, number: number, off: number, size: number): void {
  const r: Address = v.reg(number);
  if (v.d.smin(r) < 0) {
    v.reject(
      Errno.EACCES,
      `R${number} min value is negative, either use unsigned index or do a if (index >=0) check.`,
    );
  }
  const type = v.d.type(r);
  const layout = layouts[type];
  const access = { offset: off, size, write: false };
  if (layout && contextAccess(socketPointers[layout], access, v.program.expectedAttachType)) return;
  v.reject(Errno.EACCES, `R${number} invalid ${typeName(type)} access off=${off} size=${size}`);
}
